// A file of a cell, shown in full.

import { marked } from "marked";
import { useEffect, useState } from "preact/hooks";
import { isDark, onTheme } from "../theme";
import { formatBytes, type Media } from "../values";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Icon } from "./icon";
import { pauseAfter, Picture, Player } from "./picture";
import { Loading, State } from "./state";

/** The longest document that is shown in place. */
const LONGEST_DOCUMENT = 5_000_000;

interface LightboxProps {
  title: string;
  /** Returns the file `step` cells after the first one, or null if there is none. */
  load(step: number): Promise<Media | null>;
  first: Media;
  onClose(): void;
}

/** Shows a cell's file large; the arrow keys show the same column's files before and after it. */
export function Lightbox({ title, load, first, onClose }: LightboxProps) {
  const [media, setMedia] = useState(first);
  const [step, setStep] = useState(0);

  const go = async (by: number) => {
    const found = await load(step + by).catch(() => null);
    if (!found) return;
    setStep(step + by);
    setMedia(found);
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "ArrowLeft") void go(-1);
      else if (event.key === "ArrowRight") void go(1);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const facts = [
    media.width && media.height ? `${media.width} × ${media.height}` : "",
    media.format.toUpperCase(),
    media.size ? formatBytes(media.size) : "",
  ];
  return (
    <Dialog title={title} onClose={onClose} wide>
      <div class="lightbox">
        <MediaView media={media} />
      </div>
      <footer class="lightbox-foot">
        <span class="caption">
          <bdi>{media.caption}</bdi>
          <small>{facts.filter(Boolean).join(" · ")}</small>
        </span>
        <Button icon="left" label="Previous" bare onClick={() => void go(-1)} />
        <Button icon="right" label="Next" bare onClick={() => void go(1)} />
        <a class="button plain bare" href={media.url} download title="Download" aria-label="Download">
          <Icon name="download" />
        </a>
      </footer>
    </Dialog>
  );
}

export function MediaView({ media }: { media: Media }) {
  switch (media.kind) {
    case "image":
      return <Picture url={media.url} alt={media.caption || "image"} width={media.width} />;
    case "audio":
    case "video":
      return <Player kind={media.kind} url={media.url} />;
    case "html":
    case "markdown":
      return <Document key={media.url} media={media} />;
  }
}

function Document({ media }: { media: Media }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    const load = async (tries: number) => {
      const answer = await fetch(media.url, { signal: abort.signal });
      if (answer.status === 404) {
        // The file may arrive after its row.
        timer = setTimeout(() => void load(tries + 1).catch(fail), pauseAfter(tries));
        return;
      }
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      setText((await answer.text()).slice(0, LONGEST_DOCUMENT));
    };
    const fail = (error: Error) => abort.signal.aborted || setError(error.message);
    load(0).catch(fail);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [media.url]);
  if (error) return <State title="This document cannot be shown" isError>{error}</State>;
  if (text === null) return <Loading what="Loading the document…" />;
  const html = media.kind === "markdown" ? markdown(text) : text;
  return <Sandbox html={html} title={media.caption || media.path} isPlain={media.kind === "html"} />;
}

export function markdown(text: string): string {
  return marked.parse(text, { async: false, gfm: true });
}

const STYLE = `
  body { font: 14px/1.55 system-ui, sans-serif; margin: 12px 16px; overflow-wrap: anywhere; }
  img { max-width: 100%; } table { border-collapse: collapse; }
  td, th { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding: 2px 8px; }
  pre { overflow: auto; } h1, h2, h3 { line-height: 1.25; margin: .6em 0 .3em; }
  p, ul, ol { margin: .4em 0; } a { color: inherit; }
`;

/** The page's colours: a sandbox does not inherit them. */
const LIGHT = "html { color-scheme: light; background: #fff; color: #1c2024; }";
const DARK = "html { color-scheme: dark; background: #15191c; color: #e4e7ea; }";

/**
 * Shows untrusted HTML: it runs no script, sends no form, loads nothing from another origin, and
 * cannot reach the page or the server with the reader's session.
 */
export function Sandbox({ html, title, isPlain }: { html: string; title: string; isPlain?: boolean }) {
  const [dark, setDark] = useState(isDark());
  useEffect(() => onTheme(() => setDark(isDark())), []);
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; media-src data:";
  const colours = isPlain || !dark ? LIGHT : DARK;
  const head = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">
    <base target="_blank"><style>${STYLE}${colours}</style>`;
  return (
    <iframe
      class="sandbox"
      title={title}
      sandbox=""
      referrerpolicy="no-referrer"
      srcdoc={`<!DOCTYPE html><html><head>${head}</head><body>${html}</body></html>`}
    />
  );
}
