// The cover of a panel without rows: it says why there are none.

import { Button } from "../ui/button";
import { Cover } from "../ui/cover";
import type { Range } from "./document";
import { rangeLabel } from "./range";

interface NoRowsProps {
  host: HTMLElement | null;
  range: Range | null;
  hasPicks: boolean;
  onClear(): void;
}

export function NoRows({ host, range, hasPicks, onClear }: NoRowsProps) {
  const label = rangeLabel(range);
  const when = !range ? "" : label.startsWith("Last") ? ` in the ${label.toLowerCase()}` : ` in ${label}`;
  return (
    <Cover host={host}>
      <p>{hasPicks ? `No row matches the filters${when}` : `No rows${when}`}</p>
      {hasPicks && <Button label="Clear the filters" kind="primary" onClick={onClear} />}
    </Cover>
  );
}
