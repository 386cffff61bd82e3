// What covers a grid or a chart that has no rows; the viewer's settings beside it stay reachable.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

interface CoverProps {
  /** The element that holds the viewer. */
  host: HTMLElement | null;
  children: ComponentChildren;
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export function Cover({ host, children }: CoverProps) {
  const [box, setBox] = useState<Box | null>(null);
  useEffect(() => {
    if (!host) return;
    const place = () => setBox(boxOf(host));
    const observer = new ResizeObserver(place);
    observer.observe(host);
    const plugin = pluginOf(host);
    if (plugin) observer.observe(plugin);
    place();
    return () => observer.disconnect();
  }, [host]);
  const style = box && {
    left: `${box.left}px`,
    top: `${box.top}px`,
    width: `${box.width}px`,
    height: `${box.height}px`,
  };
  return (
    <div class="cover" role="status" style={style ?? { inset: 0 }}>
      {children}
    </div>
  );
}

/** Returns the grid or the chart on the screen. */
function pluginOf(host: HTMLElement): HTMLElement | null {
  const all = host.querySelectorAll<HTMLElement>("perspective-viewer > *");
  return [...all].find((it) => /^perspective-viewer-(datagrid$|charts-)/.test(it.localName) && it.offsetWidth > 0) ?? null;
}

function boxOf(host: HTMLElement): Box | null {
  const plugin = pluginOf(host);
  const parent = host.parentElement;
  if (!plugin || !parent) return null;
  const [inner, outer] = [plugin.getBoundingClientRect(), parent.getBoundingClientRect()];
  const { width, height } = inner;
  return { left: inner.left - outer.left, top: inner.top - outer.top, width, height };
}
