// Loads the chart library, once.

import type { EChartsType } from "echarts/core";
import { importModule } from "../import";

declare const CHARTS_URL: string;

interface Library {
  init(element: HTMLElement, theme: null, options: object): EChartsType;
}

let loading: Promise<Library> | null = null;

export function loadCharts(): Promise<Library> {
  loading ??= importModule<Library>(CHARTS_URL);
  return loading;
}
