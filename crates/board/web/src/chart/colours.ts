// The page's colours as the chart library needs them.

export interface Colours {
  text: string;
  text2: string;
  line: string;
  line2: string;
  font: string;
  series: string[];
  accent: number[];
  bad: number[];
  /** The colour of text on a strong cell. */
  onStrong: string;
}

/** Reads the colours of the present theme. */
export function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: get("text"),
    text2: get("text-2"),
    line: get("line"),
    line2: get("line-2"),
    font: getComputedStyle(document.body).fontFamily,
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => get(`series-${i}`)),
    accent: rgb(get("accent")),
    bad: rgb(get("bad")),
    onStrong: get("on-accent"),
  };
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
