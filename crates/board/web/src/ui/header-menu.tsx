// The menu of a column, opened from its header.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { moved } from "../grid/headers";
import { pinned } from "../grid/pins";
import type { Scale } from "../grid/scales";
import type { ColumnStats } from "../grid/stats";
import type { Filter, ViewerConfig } from "../live/perspective";
import { formatCount, type Shape, visible } from "../values";
import { type MenuItem, MenuList } from "./menu";

interface HeaderMenuProps {
  column: string;
  at: DOMRect;
  config: ViewerConfig;
  shape: Shape;
  stats: ColumnStats | null;
  onChange(changes: ViewerConfig): void;
  /** Called with the part of the view that draws the column. */
  onChart(changes: ViewerConfig): void;
  /** Called to draw the column's numbers as bars or colours, or not. */
  onScale(kind: Scale["kind"] | null): void;
  /** Called to open the dialog for a condition. */
  onFilter(): void;
  onClose(): void;
}

/** How many values the menu offers as filters. */
const VALUES = 6;

/** The number formats that a column can be given; the first is the page's own. */
const FORMATS: [string, object | null][] = [
  ["As it is", null],
  ["Thousands: 12,345.6", { useGrouping: true, maximumFractionDigits: 3 }],
  ["Two decimals: 12.35", { useGrouping: false, minimumFractionDigits: 2, maximumFractionDigits: 2 }],
  ["Percent: 0.12 is 12 %", { style: "percent", maximumFractionDigits: 2 }],
  ["Dollars: $12.35", { style: "currency", currency: "USD", maximumFractionDigits: 4 }],
  ["Scientific: 1.2E4", { notation: "scientific", maximumSignificantDigits: 6 }],
];

export function HeaderMenu(props: HeaderMenuProps) {
  const { column, at, config, shape, onClose } = props;
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    element.showPopover();
    const left = Math.max(4, Math.min(at.left, innerWidth - element.offsetWidth - 4));
    const top = Math.max(4, Math.min(at.bottom + 2, innerHeight - element.offsetHeight - 4));
    element.style.translate = `${left}px ${top}px`;
  }, []);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const leave = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) onClose();
    };
    addEventListener("pointerdown", leave, true);
    return () => {
      removeEventListener("pointerdown", leave, true);
      before?.focus?.();
    };
  }, []);
  const isNumber = shape.isFloat || shape.isInteger;
  return (
    <div class="header-menu" popover="manual" ref={root}>
      <MenuList
        label={`Menu of ${visible(column)}`}
        items={[...order(props), ...filters(props), ...places(props), ...(isNumber ? [...scales(props), ...formats(column, config, props.onChange)] : [])]}
        onClose={onClose}
      />
    </div>
  );
}

function order({ column, config, onChange }: HeaderMenuProps): MenuItem[] {
  const sort = config.sort ?? [];
  const now = sort.find(([name]) => name === column)?.[1];
  const by = (direction: string | null) =>
    onChange({ sort: direction === null || now === direction ? sort.filter(([name]) => name !== column) : [[column, direction]] });
  return [
    { label: "Sort upwards", isChecked: now === "asc", onSelect: () => by("asc") },
    { label: "Sort downwards", isChecked: now === "desc", onSelect: () => by("desc") },
  ];
}

function filters({ column, config, stats, onChange, onFilter }: HeaderMenuProps): MenuItem[] {
  const filter = config.filter ?? [];
  const add = (more: Filter[]) => onChange({ filter: [...filter, ...more] });
  const bars = stats?.kind === "top" ? stats.bars : [...(stats?.bars ?? [])].sort((a, b) => b.count - a.count);
  return [
    { label: "Filter…", heading: "Rows", icon: "search", onSelect: onFilter },
    ...bars
      .filter((bar) => bar.filter.length > 0)
      .slice(0, VALUES)
      .map((bar) => ({ label: bar.label, hint: formatCount(bar.count), onSelect: () => add(bar.filter) })),
    ...(stats && stats.empty > 0
      ? [
          { label: "Without the empty ones", hint: formatCount(stats.empty), onSelect: () => add([[column, "is not null"]]) },
          { label: "The empty ones only", onSelect: () => add([[column, "is null"]]) },
        ]
      : []),
  ];
}

function places(props: HeaderMenuProps): MenuItem[] {
  const { column, config, shape, onChange, onChart } = props;
  const columns = (config.columns ?? []).filter((it) => it !== null);
  const at = columns.indexOf(column);
  const group_by = config.group_by ?? [];
  const go = (to: number) => onChange({ columns: moved(columns, column, columns[to] as string) });
  const chart = shape.isMedia || shape.isNested ? [] : [{ label: "Chart this", icon: "board" as const, onSelect: () => onChart(chartOf(column, props)) }];
  return [
    { label: "Group by this", heading: "Column", disabled: shape.isMedia, onSelect: () => onChange({ group_by: [...group_by, column] }) },
    ...chart,
    {
      label: config.pinned?.includes(column) ? "Unpin" : "Pin to the left",
      icon: "pin",
      onSelect: () => onChange(pinned(columns, config.pinned ?? [], column)),
    },
    { label: "Move to the front", disabled: at <= 0, onSelect: () => go(0) },
    { label: "Move left", icon: "left", disabled: at <= 0, onSelect: () => go(at - 1) },
    { label: "Move right", icon: "right", disabled: at < 0 || at === columns.length - 1, onSelect: () => go(at + 1) },
    { label: "Hide", icon: "close", disabled: columns.length < 2, onSelect: () => onChange({ columns: columns.filter((it) => it !== column) }) },
  ];
}

/** Returns how often each value, or each range of values, occurs. */
function chartOf(column: string, { config, shape }: HeaderMenuProps): ViewerConfig {
  const isOrdered = shape.isFloat || shape.isInteger || shape.isTime;
  const rows = (config.columns ?? []).includes("rows") ? "streamtable rows" : "rows";
  return {
    plugin: isOrdered ? "Y Bar" : "X Bar",
    group_by: [column],
    split_by: [],
    columns: [rows],
    expressions: { ...config.expressions, [rows]: "1" },
    aggregates: { [rows]: "count" },
    sort: isOrdered ? [] : [[rows, "desc"]],
  };
}

/** A second choice of the same takes it away. */
function scales({ column, config, onScale }: HeaderMenuProps): MenuItem[] {
  const now = config.scales?.[column]?.kind ?? null;
  const item = (label: string, kind: Scale["kind"]) => ({ label, isChecked: now === kind, onSelect: () => onScale(now === kind ? null : kind) });
  return [{ ...item("Bars", "bar"), heading: "In the cells" }, item("Colours", "colour")];
}

function formats(column: string, config: ViewerConfig, onChange: (changes: ViewerConfig) => void): MenuItem[] {
  const all = config.columns_config ?? {};
  const { number_format: _now, number_fg_mode: _fg, number_bg_mode: _bg, fg_gradient: _g, ...rest } = all[column] ?? {};
  const set = (more: object) => onChange({ columns_config: { ...all, [column]: { ...rest, ...more } } });
  return [
    ...FORMATS.map(([label, format], i) => ({
      label,
      heading: i === 0 ? "Format" : undefined,
      onSelect: () => set(format ? { number_format: format } : {}),
    })),
  ];
}
