// Pictures, sounds and films whose files may arrive after the rows that name them.

import { useEffect, useRef, useState } from "preact/hooks";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Shown while a file is not there: the browser would show its broken-image icon. */
const PLACEHOLDER = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="#8a959e">' +
    '<path d="M3.5 4.5h9v7h-9zM4 10.5l2.5-2.500 2 2 1.500-1.500 2 2" stroke-width=".8"/></svg>',
)}`;

/** Returns the pause before the next try after `failures` tries, with a quarter of jitter. */
export function pauseAfter(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2);
}

interface Loading {
  url: string;
  failures: number;
  timer: number | undefined;
}

const loading = new WeakMap<HTMLImageElement, Loading>();

/**
 * Shows the picture at an address. Shows a placeholder while the file is not there, and retries with
 * backoff until it is, until the element leaves the page, or until it is given another address.
 */
export function showPicture(image: HTMLImageElement, url: string): void {
  const before = loading.get(image);
  if (before?.url === url) return;
  if (!before) image.addEventListener("error", () => failed(image));
  if (!before) image.addEventListener("load", () => loaded(image));
  clearTimeout(before?.timer);
  loading.set(image, { url, failures: 0, timer: undefined });
  delete image.dataset["missing"];
  image.setAttribute("src", url);
}

function loaded(image: HTMLImageElement): void {
  if (image.getAttribute("src") !== PLACEHOLDER) delete image.dataset["missing"];
}

function failed(image: HTMLImageElement): void {
  const state = loading.get(image);
  if (!state) return;
  image.dataset["missing"] = "yes";
  image.setAttribute("src", PLACEHOLDER);
  retry(image, state);
}

function retry(image: HTMLImageElement, state: Loading): void {
  state.timer = setTimeout(() => {
    if (!image.isConnected || loading.get(image) !== state) return;
    // Loads aside, so that the placeholder stays until the file is there.
    const probe = new Image();
    probe.onload = () => {
      if (loading.get(image) === state) image.setAttribute("src", state.url);
    };
    probe.onerror = () => retry(image, state);
    state.failures += 1;
    probe.src = state.url;
  }, pauseAfter(state.failures));
}

interface PictureProps {
  url: string;
  alt: string;
  /** How wide the picture is, if known: a small one keeps its sharp pixels. */
  width: number | undefined;
  isLazy?: boolean;
}

export function Picture({ url, alt, width, isLazy }: PictureProps) {
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => {
    if (image.current) showPicture(image.current, url);
  }, [url]);
  return (
    <img
      ref={image}
      alt={alt}
      class={(width ?? 1000) <= 64 ? "pixels" : ""}
      loading={isLazy ? "lazy" : undefined}
    />
  );
}

/** Plays a sound or a film; retries with backoff while its file is not there. */
export function Player({ kind, url }: { kind: "audio" | "video"; url: string }) {
  const [tries, setTries] = useState(0);
  const timer = useRef<number>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const props = {
    // A new element loads the file again.
    key: `${tries} ${url}`,
    controls: true,
    src: url,
    preload: "metadata" as const,
    onError: () => {
      timer.current = setTimeout(() => setTries(tries + 1), pauseAfter(tries));
    },
  };
  return kind === "audio" ? <audio {...props} /> : <video {...props} />;
}
