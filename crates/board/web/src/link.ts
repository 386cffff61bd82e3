// What the page shows, in its address: a link opens the same view.

import type { ViewerConfig } from "./live/perspective";

const PREFIX = "#view=";

/** Reads a view from the address; null where there is none, or none that can be read. */
export async function viewInAddress(): Promise<ViewerConfig | null> {
  if (!location.hash.startsWith(PREFIX)) return null;
  try {
    return JSON.parse(await inflate(location.hash.slice(PREFIX.length))) as ViewerConfig;
  } catch {
    return null;
  }
}

/** Writes a view into the address, without a new entry in the history. */
export async function putViewInAddress(config: ViewerConfig): Promise<void> {
  const text = await deflate(JSON.stringify(config));
  history.replaceState(null, "", `${location.pathname}${location.search}${PREFIX}${text}`);
}

async function deflate(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function inflate(text: string): Promise<string> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}
