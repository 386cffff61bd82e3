// Instants on axes, in tooltips and in ranges: the local time in 24 hours.

const SECOND = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false } as const;
const MINUTE = { hour: "2-digit", minute: "2-digit", hour12: false } as const;
const DAY = { day: "numeric", month: "short" } as const;

/** Writes an instant in full; without the date if it is that of `other`. */
export function instantText(at: number, other?: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  const exact: Intl.DateTimeFormatOptions = at % 1_000 === 0 ? SECOND : { ...SECOND, fractionalSecondDigits: 3 };
  const isSameDay = other !== undefined && new Date(other).toDateString() === date.toDateString();
  return date.toLocaleString(undefined, isSameDay ? exact : { ...DAY, year: "numeric", ...exact });
}

/** Writes a tick of an axis that spans `span` milliseconds. */
export function tickText(at: number, span: number): string {
  const date = new Date(at);
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (span > 86_400_000 * 2 || (isMidnight && at % 1_000 === 0)) {
    const isLong = span > 86_400_000 * 300;
    return date.toLocaleString(undefined, isLong ? { month: "short", year: "numeric" } : span > 86_400_000 * 8 || isMidnight ? DAY : { ...DAY, ...MINUTE });
  }
  if (at % 1_000 !== 0) return date.toLocaleString(undefined, { ...SECOND, fractionalSecondDigits: 3 });
  return date.toLocaleString(undefined, at % 60_000 === 0 && span > 120_000 ? MINUTE : SECOND);
}
