// JSON as text: an integer in it may have more digits than a JavaScript number.

/** Splits an object's JSON text into its members, their values untouched. */
export function cellsOf(json: string): [string, string][] {
  const cells: [string, string][] = [];
  const names = Object.keys(JSON.parse(json) as object);
  let at = afterSpace(json, json.indexOf("{") + 1);
  for (let i = 0; at < json.length && json[at] !== "}"; i++) {
    const name = endOfValue(json, at);
    const value = afterSpace(json, afterSpace(json, name) + 1);
    const end = endOfValue(json, value);
    cells.push([JSON.parse(json.slice(at, name)) as string, json.slice(value, end).trim()]);
    const next = afterSpace(json, end);
    at = json[next] === "," ? afterSpace(json, next + 1) : next;
    if (i > names.length + 1) break;
  }
  return cells;
}

/** Splits a list's JSON text into its items, their values untouched. */
export function itemsOf(json: string): string[] {
  const items: string[] = [];
  let at = 1 + json.slice(1).search(/\S/);
  while (at > 0 && at < json.length && json[at] !== "]") {
    const end = endOfValue(json, at);
    items.push(json.slice(at, end).trim());
    const comma = end + json.slice(end).search(/\S/);
    at = json[comma] === "," ? comma + 1 + json.slice(comma + 1).search(/\S/) : json.length;
  }
  return items;
}

/** Returns the index of the first character from `at` on that is no white space. */
function afterSpace(json: string, at: number): number {
  while (at < json.length && /\s/.test(json[at] as string)) at += 1;
  return at;
}

/** Returns the end of the JSON value that starts at an index. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let i = start; i < json.length; i++) {
    const c = json[i];
    if (c === '"') {
      i += 1;
      while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      if (depth === 0) return i + 1;
    } else if (c === "{" || c === "[") {
      depth += 1;
    } else if (c === "}" || c === "]") {
      if (depth === 0) return i;
      depth -= 1;
      if (depth === 0) return i + 1;
    } else if (depth === 0 && c === ",") {
      return i;
    }
  }
  return json.length;
}

/** Indents JSON without reading its numbers. */
export function indented(json: string): string {
  let out = "";
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const c = json[i] as string;
    if (c === '"') {
      const end = endOfValue(json, i);
      out += json.slice(i, end);
      i = end - 1;
    } else if (c === "{" || c === "[") {
      const isEmpty = /^[\]}]/.test(json.slice(i + 1).trimStart());
      depth += 1;
      out += isEmpty ? c : `${c}\n${"  ".repeat(depth)}`;
    } else if (c === "}" || c === "]") {
      depth -= 1;
      out += /[{[]$/.test(out) ? c : `\n${"  ".repeat(depth)}${c}`;
    } else if (c === ",") {
      out += `,\n${"  ".repeat(depth)}`;
    } else if (c === ":") {
      out += ": ";
    } else if (!/\s/.test(c)) {
      out += c;
    }
  }
  return out;
}
