// The export of a view as a file.

import { api } from "../api";
import type { ViewerConfig } from "../live/perspective";
import { Menu, type MenuItem } from "./menu";
import { toast, toastError } from "./toast";

const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
  ["jsonl", "JSON lines"],
] as const;

export function ExportMenu({ name, save }: { name: string; save(): ViewerConfig }) {
  return <Menu icon="download" label="Export this view" bare items={exports(name, save)} />;
}

/** Returns the menu items that export a view. */
export function exports(name: string, save: () => ViewerConfig): MenuItem[] {
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
  return FORMATS.map(([format, label]) => ({ label, onSelect: () => void run(format) }));
}
