import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "./theme.ts";

type ChartProps = {
  /** Everything but the size. A new object makes a new chart: keep it while only the data changes. */
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  /** In pixels; without one it is as high as its place, which then has a height of its own. */
  height?: number;
  /** Hears of every chart made, and of its end with `null`. */
  onChart?: (chart: uPlot | null) => void;
};

/** A canvas chart as wide as its place, and as high where no height is given. What it shows must be said in words beside it. */
export function Chart({ options, data, height, onChart }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;
  const shade = theme.value;

  // Another theme gives the same options other colours: a new chart.
  useEffect(() => {
    const element = host.current!;
    const size = () => ({ width: Math.max(160, element.clientWidth), height: height ?? element.clientHeight });
    const made = new uPlot({ ...options, ...size() }, latest.current, element);
    chart.current = made;
    onChart?.(made);
    const observer = new ResizeObserver(() => made.setSize(size()));
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

  return height === undefined ? (
    <div class="chart chart-fills" ref={host} />
  ) : (
    <div class="chart" ref={host} style={{ height: `${height}px` }} />
  );
}
