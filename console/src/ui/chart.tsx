import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "./theme.ts";

type ChartProps = {
  /** Everything but the size. A new object makes a new chart: keep it while only the data changes. */
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  height: number;
  /** Hears of every chart made, and of its end with `null`. */
  onChart?: (chart: uPlot | null) => void;
};

/** A canvas chart as wide as its place. What it shows must be said in words beside it. */
export function Chart({ options, data, height, onChart }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;
  const shade = theme.value;

  // Another theme gives the same options other colours: a new chart.
  useEffect(() => {
    const element = host.current!;
    const made = new uPlot({ ...options, width: Math.max(160, element.clientWidth), height }, latest.current, element);
    chart.current = made;
    onChart?.(made);
    const observer = new ResizeObserver(() => made.setSize({ width: Math.max(160, element.clientWidth), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      onChart?.(null);
      chart.current = null;
      made.destroy();
    };
  }, [options, height, shade]);

  useEffect(() => {
    chart.current?.setData(data);
  }, [data]);

  return <div class="chart" ref={host} style={{ height: `${height}px` }} />;
}
