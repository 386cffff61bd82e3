// The search over all columns of a table: a filter on their joined texts.

import type { Filter, ViewerConfig } from "../live/perspective";
import { rowTimeOf, type Shape, type Shapes } from "../values";
import { quoted } from "../sql-text";

/** The name of the computed column that a search looks into. */
export const SEARCH = "streamtable search";

/** Returns the text that a view is searched for; empty if it is not searched. */
export function searchedText({ filter = [] }: ViewerConfig): string {
  const found = filter.find(([column]) => column === SEARCH);
  return found ? String(found[2] ?? "") : "";
}

/** Returns the parts of a view that change if its rows must contain a text; none for an empty text. */
export function searched(config: ViewerConfig, text: string, shapes: Shapes): ViewerConfig {
  const filter = (config.filter ?? []).filter(([column]) => column !== SEARCH);
  const { [SEARCH]: _before, ...expressions } = config.expressions ?? {};
  if (text === "") return { filter, expressions };
  const search: Filter = [SEARCH, "contains", text];
  return { filter: [...filter, search], expressions: { ...expressions, [SEARCH]: textOf(shapes) } };
}

/** Joins the columns whose values are shown as text; files and nested values are not searched. */
function textOf(shapes: Shapes): string {
  const isText = ([name, shape]: [string, Shape]) =>
    !shape.isMedia && !shape.isNested && !shape.isUnion && name !== rowTimeOf(shapes);
  const names = [...shapes].filter(isText).map(([name]) => name);
  const texts = names.map((name) => `CAST(${quoted(name)} AS VARCHAR)`);
  return texts.length === 0 ? "''" : `concat_ws(' ', ${texts.join(", ")})`;
}
