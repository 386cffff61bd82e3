// The tooltip of a mark, beside the pointer or the mark.

import { useLayoutEffect, useRef } from "preact/hooks";
import { Picture } from "../ui/picture";
import type { Media } from "../values";
import type { MarkText } from "./marks";

interface TooltipProps {
  text: MarkText;
  /** Where it points to, in pixels of the window. */
  at: [number, number];
  colours: string[];
  samples: Media[];
}

const GAP_PX = 14;

export function Tooltip({ text, at, colours, samples }: TooltipProps) {
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => root.current?.showPopover(), []);
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const { offsetWidth: width, offsetHeight: height } = element;
    const isRight = at[0] + GAP_PX + width < innerWidth;
    const x = isRight ? at[0] + GAP_PX : Math.max(4, at[0] - GAP_PX - width);
    const y = Math.min(innerHeight - height - 4, Math.max(4, at[1] - height / 2));
    element.style.translate = `${Math.round(x)}px ${Math.round(y)}px`;
  });
  return (
    <div class="chart-tip" popover="manual" ref={root} data-testid="tip">
      <b>
        <bdi>{text.title}</bdi>
      </b>
      <dl>
        {text.lines.map(({ name, value, series }) => (
          <div key={`${series} ${name}`}>
            <dt>
              {series >= 0 && text.lines.length > 1 && <i style={{ background: colours[series % colours.length] }} />}
              <bdi>{name}</bdi>
            </dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {samples.length > 0 && (
        <p class="chart-samples">
          {samples.map((it) => (
            <Picture key={it.url} url={it.url} alt={it.caption || "sample"} width={it.width} />
          ))}
        </p>
      )}
    </div>
  );
}
