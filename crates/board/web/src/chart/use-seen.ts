import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { isPrinting, onPrint } from "../print";

/** Returns whether an element is on the screen or near it, or is printed. */
export function useSeen(host: RefObject<HTMLElement | null>): boolean {
  const [isSeen, setSeen] = useState(false);
  const [isPrinted, setPrinted] = useState(isPrinting);
  useEffect(() => onPrint(() => setPrinted(isPrinting())), []);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)?.isIntersecting === true), {
      rootMargin: "100px",
    });
    if (host.current) observer.observe(host.current);
    return () => observer.disconnect();
  }, []);
  return isSeen || isPrinted;
}
