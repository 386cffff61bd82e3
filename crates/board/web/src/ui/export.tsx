// The export of a view as a file, and its first rows for the clipboard.

import { api } from "../api";
import { type CopyFormat, MOST_COPIED, readCopied, written } from "../grid/copied";
import type { Connection } from "../live/connection";
import type { ViewerConfig } from "../live/perspective";
import { Menu, type MenuItem } from "./menu";
import { formatCount, plural } from "../values";
import { toast, toastError } from "./toast";

const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
  ["jsonl", "JSON lines"],
] as const;

const COPIES: [CopyFormat, string][] = [
  ["csv", "CSV"],
  ["markdown", "Markdown"],
  ["json", "JSON"],
];

interface ExportProps {
  /** The full name of the table. */
  name: string;
  connection: Connection;
  save(): ViewerConfig;
}

export function ExportMenu(props: ExportProps) {
  return <Menu icon="download" label="Export this view" bare items={exports(props)} />;
}

/** Returns the menu items that export a view. */
export function exports({ name, connection, save }: ExportProps): MenuItem[] {
  const copy = async (format: CopyFormat, label: string) => {
    try {
      if (!connection.client) throw new Error("the server cannot be reached");
      const copied = await readCopied(await connection.client.open_table(name), name, save());
      await navigator.clipboard.writeText(written(copied, format));
      const all = plural(copied.total, "row");
      const part = copied.total > MOST_COPIED ? `The first ${formatCount(MOST_COPIED)} of ${all}` : all;
      toast(`${part} copied as ${label}`);
    } catch (error) {
      toastError(error);
    }
  };
  const run = async (format: string) => {
    try {
      toast("The export is being made…");
      const { columns, group_by, split_by, sort, filter, expressions, aggregates } = save();
      const view = { columns, group_by, split_by, sort, filter, expressions, aggregates };
      const blob = await api.export(name, view, format);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name.split("/").at(-1)}.${format}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      toastError(error);
    }
  };
  return [
    ...FORMATS.map(([format, label], i) => ({
      label,
      heading: i === 0 ? "All rows, as a file" : undefined,
      onSelect: () => void run(format),
    })),
    ...COPIES.map(([format, label], i) => ({
      label: `Copy as ${label}`,
      heading: i === 0 ? `The first ${formatCount(MOST_COPIED)} rows` : undefined,
      onSelect: () => void copy(format, label),
    })),
  ];
}
