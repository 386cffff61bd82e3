// The aggregates of grouped views.

import { api } from "../api";
import type { ViewerConfig } from "../live/perspective";

/** Reads the aggregates that fit a table's columns; none if the server cannot tell. */
export async function aggregatesOf(name: string): Promise<Record<string, string>> {
  const { columns } = await api.templates(name).catch(() => ({ columns: [] }));
  return Object.fromEntries(columns.map((column) => [column.name, column.aggregate]));
}

function isGrouped({ group_by = [] }: ViewerConfig): boolean {
  return group_by.length > 0;
}

/** Returns whether a grouped view leaves aggregates of its columns out. */
export function needsAggregates(config: ViewerConfig): boolean {
  const { columns = [], aggregates = {} } = config;
  return isGrouped(config) && columns.some((column) => column !== null && !(column in aggregates));
}

/** Gives the columns of a grouped view the aggregates that fit them, unless the user chose some. */
export function withAggregates(config: ViewerConfig, fitting: Record<string, string>): ViewerConfig {
  if (!needsAggregates(config)) return config;
  const columns = (config.columns ?? []).filter((column) => column !== null);
  const defaults = columns.map((column) => [column, fitting[column] ?? "count"]);
  return { ...config, aggregates: { ...Object.fromEntries(defaults), ...config.aggregates } };
}
