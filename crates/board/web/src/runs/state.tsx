import { stateOf } from "./run";

/** The state of a run: a word beside a dot of its colour. */
export function RunState({ state }: { state: string }) {
  const [word, kind] = stateOf(state);
  return (
    <span class={`run-state ${kind}`}>
      <i class="dot" />
      {word}
    </span>
  );
}
