import { useEffect, useRef, useState } from "preact/hooks";
import { follow } from "../board/use-view";
import type { Connection } from "../live/connection";
import type { ViewerConfig } from "../live/perspective";
import { everyNth } from "../live/sample";
import { type ChartData, MOST_POINTS, readGroups, readPoints, viewOf } from "./data";

interface Read {
  data: ChartData | null;
  error: string;
}

/** Follows the data of a chart while it is on the screen; samples single points of many rows. */
export function useChartData(connection: Connection, table: string, config: ViewerConfig, isSeen: boolean): Read {
  const [found, setFound] = useState<Read>({ data: null, error: "" });
  const [every, setEvery] = useState(1);
  const columns = (config.columns ?? []).filter((column) => column !== null);
  const isPoints = (config.group_by ?? []).length === 0;
  const all = viewOf({ ...config, columns });
  const view = isPoints && every > 1 ? everyNth(all, "_pos", every) : all;
  const key = JSON.stringify([table, view]);
  const finest = useRef(every);
  finest.current = every;
  useEffect(() => {
    if (!isSeen) return;
    const followed = follow(
      connection,
      table,
      view,
      (view) => (isPoints ? readPoints(view, columns, finest.current) : readGroups(view, columns)),
      {
        onRead: (data) => {
          // A somewhat larger sample is kept, so that a growing table is not sampled again each time.
          if (isPoints && data.rows > 2 * MOST_POINTS) setEvery((now) => now * Math.ceil(data.rows / MOST_POINTS));
          else setFound({ data, error: "" });
        },
        onError: (error) => setFound((now) => ({ ...now, error })),
      },
    );
    return followed.stop;
  }, [key, isSeen, connection]);
  return found;
}
