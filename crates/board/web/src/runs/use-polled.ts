import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api";

interface Polled<T> {
  value: T | null;
  error: ApiError | null;
}

/** The pause after an answer is at least this many times as long as the wait for it. */
const BUSY_SHARE = 4;

/**
 * Loads a value at first, when `keys` change, and while the page is visible again after each pause. A pause of null
 * means that the value does not change any more.
 */
export function usePolled<T>(load: () => Promise<T>, pause: (value: T | null) => number | null, keys: unknown[]): Polled<T> {
  const [found, setFound] = useState<Polled<T>>({ value: null, error: null });
  useEffect(() => {
    let isGone = false;
    let timer: number | undefined;
    let last: T | null = null;
    setFound({ value: null, error: null });
    const read = async () => {
      clearTimeout(timer);
      const start = performance.now();
      try {
        last = await load();
        if (!isGone) setFound({ value: last, error: null });
      } catch (error) {
        if (!isGone) setFound((now) => ({ ...now, error: error as ApiError }));
      }
      const ms = pause(last);
      // A server that needs long for an answer is asked less often.
      const least = BUSY_SHARE * (performance.now() - start);
      if (!isGone && ms !== null && !document.hidden) timer = setTimeout(() => void read(), Math.max(ms, least));
    };
    const onVisible = () => {
      if (!document.hidden && pause(last) !== null) void read();
    };
    document.addEventListener("visibilitychange", onVisible);
    void read();
    return () => {
      isGone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, keys);
  return found;
}
