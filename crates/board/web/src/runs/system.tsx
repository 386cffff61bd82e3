// The metrics of the machine that a run's client records.

import { useMemo, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { Button } from "../ui/button";
import { Loading, State } from "../ui/state";
import { plural } from "../values";
import type { Place } from "./address";
import { CurveChart } from "./curve-chart";
import type { Span } from "./curve-sql";
import { curvesOf, type Points } from "./curves";
import { machineCurves } from "./machine";
import { usePolled } from "./use-polled";

/** How many samples are read: the client takes one each 10 to 30 s. */
const SAMPLES = 1_000;

const READ_MS = 10_000;

const STYLE = { smoothing: 0, isLog: false };

interface SystemProps {
  place: Place;
  run: string;
  isActive: boolean;
}

export function System({ place, run, isActive }: SystemProps) {
  const [extent, setExtent] = useState<Span | null>(null);
  const { value, error } = usePolled(
    () => readEvents(place, run).then(machineCurves),
    () => (isActive ? READ_MS : null),
    [place.entity, place.project, run, isActive],
  );
  const known = useRef<Map<string, Points> | null>(null);
  known.current = value ?? known.current;
  const curves = known.current;
  if (error && !curves) return <p class="stale">The metrics cannot be read: {error.message}</p>;
  if (!curves) return <Loading what="Loading the metrics…" />;
  if (curves.size === 0) {
    return (
      <State icon="row" title="No system metrics">
        <p>This run has recorded nothing about its machine{isActive ? " yet" : ""}.</p>
      </State>
    );
  }
  return (
    <>
      <div class="runs-tools">
        {extent && <Button label="Show all" onClick={() => setExtent(null)} />}
        <p class="runs-count">{plural(curves.size, "metric")}</p>
      </div>
      <div class="run-charts">
        {[...curves].map(([name, points]) => (
          <MachineChart key={name} name={name} points={points} extent={extent} onZoom={(from, to) => setExtent([from, to])} />
        ))}
      </div>
    </>
  );
}

interface MachineChartProps {
  name: string;
  points: Points;
  extent: Span | null;
  onZoom(from: number, to: number): void;
}

function MachineChart({ name, points, extent, onZoom }: MachineChartProps) {
  const data = useMemo(() => curvesOf(name, [{ name, points }], STYLE), [name, points]);
  return <CurveChart title={name} axis="time" data={data} extent={extent} onZoom={onZoom} />;
}

async function readEvents({ entity, project }: Place, run: string): Promise<string[]> {
  const query = `query System($entity: String, $project: String, $run: String!, $samples: Int) {
    project(name: $project, entityName: $entity) { run(name: $run) { events(samples: $samples) } } }`;
  type Answer = { project: { run: { events: string[] } | null } | null };
  const answer = await api.graphql<Answer>(query, { entity, project, run, samples: SAMPLES });
  return answer.project?.run?.events ?? [];
}
