import { useEffect, useState } from "preact/hooks";
import { read } from "../grid/lookup";
import type { Connection } from "../live/connection";
import type { ViewConfig } from "../live/perspective";
import { positionColumn } from "../live/sample";
import { type Media, mediaOf } from "../values";

/** How many pictures of a mark's rows a tooltip shows. */
const SAMPLES = 3;

/** How long the pointer rests on a mark before its pictures are read. */
const REST_MS = 150;

/** Reads the newest pictures of the rows of a view; none while `rows` is null. */
export function useSamples(connection: Connection | null, table: string, column: string | null, rows: ViewConfig | null): Media[] {
  const [found, setFound] = useState<{ key: string; media: Media[] }>({ key: "", media: [] });
  const key = column !== null && rows ? JSON.stringify([table, column, rows]) : "";
  useEffect(() => {
    if (column === null || !rows) return;
    let isGone = false;
    const load = async () => {
      const opened = await connection?.client?.open_table(table);
      if (!opened) return;
      const position = await positionColumn(opened);
      const view = await opened.view({ ...rows, columns: [column], sort: [[position, "desc"]] });
      const cells = (await read(view, 0, SAMPLES))[column] ?? [];
      await view.delete();
      const media = cells.map((cell) => mediaOf(cell, table)).filter((it) => it?.kind === "image");
      if (!isGone) setFound({ key, media: media as Media[] });
    };
    const timer = setTimeout(() => void load().catch(() => undefined), REST_MS);
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [key]);
  return found.key === key ? found.media : [];
}
