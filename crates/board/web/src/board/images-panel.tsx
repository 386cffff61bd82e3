// A panel with the newest pictures of a table, as a wall.

import { useEffect, useRef, useState } from "preact/hooks";
import { overlaid } from "../live/overlay";
import type { ViewConfig } from "../live/perspective";
import { Lightbox } from "../ui/media";
import { Picture } from "../ui/picture";
import { formatNumber, mediaOf, plural } from "../values";
import { NoRows } from "./cover";
import type { PanelBodyProps } from "./panels";
import { useView } from "./use-view";

/** The size of a picture of the wall with its caption. */
const TILE = { width: 76, height: 96 };
const MOST_TILES = 120;

export function ImagesPanel({ panel, table, connection, overlay, range, hasPicks, onClearPicks }: PanelBodyProps & { table: string }) {
  const root = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(24);
  const [opened, setOpened] = useState<string | null>(null);
  useEffect(() => {
    const measure = new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {};
      const tiles = Math.floor(width / TILE.width) * Math.ceil(height / TILE.height);
      setRoom(Math.min(MOST_TILES, Math.max(4, tiles)));
    });
    if (root.current) measure.observe(root.current);
    return () => measure.disconnect();
  }, []);

  const { columns = [], sort = [], filter = [], expressions = {} } = panel.config;
  const [image = "", ...captions] = columns.filter((column) => column !== null);
  const own: ViewConfig = { columns: [image, ...captions], sort, expressions, filter };
  const config = overlaid(own, overlay);
  const isSorted = sort.length > 0;
  const window = isSorted ? { first: room } : { last: room };
  const { seen, error } = useView(connection, table, config, window);
  const tiles = (seen?.columns[image] ?? []).map((cell, i) => ({
    media: mediaOf(cell, table),
    texts: captions.map((column) => captionText(seen?.columns[column]?.[i])),
  }));
  // Unsorted, the newest rows are the last ones.
  if (!isSorted) tiles.reverse();
  const shown = tiles.filter((tile) => tile.media !== null);
  const keys = keysOf(shown.map((tile) => tile.media?.url ?? ""));
  const at = shown.findIndex((_, i) => keys[i] === opened);
  return (
    <div class="wall" ref={root}>
      {error && <p class="panel-note error">{error}</p>}
      {seen?.rows === 0 && !error && (
        <NoRows host={null} range={range} hasPicks={hasPicks} onClear={onClearPicks} />
      )}
      {seen && seen.rows > 0 && shown.length === 0 && !error && (
        <p class="panel-note">No pictures in these rows.</p>
      )}
      {shown.length > 0 && captions.length > 0 && (
        <p class="wall-legend">
          <bdi>{captions.join(" · ")}</bdi>
        </p>
      )}
      <ul aria-label={plural(shown.length, "picture")}>
        {shown.map((tile, i) => (
          <li key={keys[i]}>
            <button
              type="button"
              onClick={() => setOpened(keys[i] ?? null)}
              title={tile.texts.join(" · ")}
            >
              <Picture
                url={tile.media?.url ?? ""}
                alt={tile.media?.caption || tile.texts.join(" · ") || "image"}
                width={tile.media?.width}
                isLazy
              />
              {tile.texts.length > 0 && <small>{tile.texts.join(" · ")}</small>}
            </button>
          </li>
        ))}
      </ul>
      {at >= 0 && shown[at]?.media && (
        <Lightbox
          title={panel.title}
          first={shown[at].media}
          load={async (step) => shown[at + step]?.media ?? null}
          onClose={() => setOpened(null)}
        />
      )}
    </div>
  );
}

/** Returns a unique key for each address, so that a picture moves with its row. */
function keysOf(urls: string[]): string[] {
  const seen = new Map<string, number>();
  return urls.map((url) => {
    const nth = seen.get(url) ?? 0;
    seen.set(url, nth + 1);
    return `${nth} ${url}`;
  });
}

function captionText(value: unknown): string {
  if (typeof value === "number") return formatNumber(value);
  return value === null || value === undefined ? "–" : String(value);
}
