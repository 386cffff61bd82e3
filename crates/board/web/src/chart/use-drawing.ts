import type { EChartsType } from "echarts/core";
import { type RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { onPrint } from "../print";
import { onTheme } from "../theme";
import { type Colours, readColours } from "./colours";
import type { Figure } from "./figure";
import { loadCharts } from "./load";
import type { Scales } from "./marks";
import { optionOf } from "./option";

export interface Drawing extends Scales {
  figure: Figure;
  colours: Colours;
}

/** Draws a figure into an element; returns what is on the screen, or null before the first drawing. */
export function useDrawing(host: RefObject<HTMLElement | null>, figure: Figure | null, isBare: boolean): Drawing | null {
  const chart = useRef<EChartsType | null>(null);
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  const latest = useRef(figure);
  latest.current = figure;
  const draw = () => {
    const element = host.current;
    const figure = latest.current;
    const { current } = chart;
    if (!current || !element || !figure || element.clientWidth === 0) return;
    element.dataset["drawn"] = "yes";
    if (figure.data.rows === 0) {
      current.clear();
      setDrawing(null);
      return;
    }
    const colours = readColours();
    const room = { width: element.clientWidth, height: element.clientHeight, isBare };
    current.setOption(optionOf(figure, colours, room), { notMerge: true });
    setDrawing({ figure, colours, ...scalesOf(current, figure) });
  };
  useEffect(() => {
    let isGone = false;
    const element = host.current;
    void loadCharts().then(({ init }) => {
      if (isGone || !element) return;
      chart.current = init(element, null, { renderer: "canvas" });
      draw();
    });
    const sized = new ResizeObserver(() => resize());
    if (element) sized.observe(element);
    // The library draws at once, as the browser's own command to print needs it.
    const resize = () => {
      chart.current?.resize();
      draw();
    };
    const stops = [onTheme(draw), onPrint(resize)];
    return () => {
      isGone = true;
      for (const stop of stops) stop();
      sized.disconnect();
      chart.current?.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(draw, [figure]);
  return drawing;
}

function scalesOf(chart: EChartsType, { kind }: Figure): Scales {
  const finder = kind === "heat" ? { seriesId: "cells" } : { gridIndex: 0 };
  const pair = (found: unknown): [number, number] | null =>
    Array.isArray(found) && found.every(Number.isFinite) ? [Number(found[0]), Number(found[1])] : null;
  return {
    toValue: (pixel) => (chart.isDisposed() ? null : pair(chart.convertFromPixel(finder, pixel))),
    toPixel: (value) => (chart.isDisposed() ? null : pair(chart.convertToPixel(finder, value))),
  };
}
