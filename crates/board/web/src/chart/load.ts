// Loads the chart library, once.

import type { EChartsType } from "echarts/core";

declare const CHARTS_URL: string;

interface Library {
  init(element: HTMLElement, theme: null, options: object): EChartsType;
}

let loading: Promise<Library> | null = null;

export function loadCharts(): Promise<Library> {
  loading ??= import(CHARTS_URL) as Promise<Library>;
  return loading;
}
