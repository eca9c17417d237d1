/** Counters and histograms of this isolate since it began, in the Prometheus text format (0.0.4). */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Series kept at most; a fixed set of routes and statuses stays far below it. */
const MAX_SERIES = 2_000;

type Histogram = { buckets: number[]; sum: number; count: number };
const requests = new Map<string, number>();
const latencies = new Map<string, Histogram>();
const sockets = new Map<string, number>();
const errors = new Map<string, number>();
let rows = 0;
let bytesIn = 0;
let bytesOut = 0;

export type Observation = {
  method: string;
  /** The pattern that matched, never the path: names of users must not become series. */
  route: string;
  status: number;
  seconds: number;
  code: string | undefined;
  rows: number;
  bytesIn: number;
  bytesOut: number;
};

export function observe(seen: Observation): void {
  const { method, route, status } = seen;
  add(requests, `{${routeLabels(method, route)},status="${status}"}`, 1);
  if (seen.code !== undefined) add(errors, labels({ code: seen.code }), 1);
  const key = `{${routeLabels(method, route)}}`;
  let histogram = latencies.get(key);
  if (histogram === undefined && latencies.size < MAX_SERIES) {
    histogram = { buckets: BOUNDS.map(() => 0), sum: 0, count: 0 };
    latencies.set(key, histogram);
  }
  if (histogram) {
    histogram.count++;
    histogram.sum += seen.seconds;
    const at = BOUNDS.findIndex((bound) => seen.seconds <= bound);
    if (at >= 0) histogram.buckets[at]!++;
  }
  rows += seen.rows;
  bytesIn += seen.bytesIn;
  bytesOut += seen.bytesOut;
}

export function countSocket(kind: string): void {
  add(sockets, labels({ class: kind }), 1);
}

/** One metric of other origin, such as the project's account. */
export type Extra = { name: string; help: string; type: "counter" | "gauge"; samples: { labels: Record<string, string>; value: number }[] };

export function render(extra: Extra[]): string {
  const out: string[] = [];
  const family = (name: string, type: string, help: string, lines: string[]) => {
    out.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines);
  };
  const counters = (map: Map<string, number>, name: string) => [...map].map(([key, value]) => `${name}${key} ${value}`);
  family("skerry_requests_total", "counter", "Requests this isolate answered.", counters(requests, "skerry_requests_total"));
  family("skerry_errors_total", "counter", "Requests that ended with an error code.", counters(errors, "skerry_errors_total"));
  family(
    "skerry_sockets_opened_total",
    "counter",
    "Sockets this isolate admitted, by class of object.",
    counters(sockets, "skerry_sockets_opened_total"),
  );
  family("skerry_rows_written_total", "counter", "Storage rows that calls of this isolate wrote.", [`skerry_rows_written_total ${rows}`]);
  family("skerry_request_bytes_total", "counter", "Bytes of request bodies.", [`skerry_request_bytes_total ${bytesIn}`]);
  family("skerry_response_bytes_total", "counter", "Bytes of response bodies of known length.", [
    `skerry_response_bytes_total ${bytesOut}`,
  ]);
  const lines: string[] = [];
  for (const [key, { buckets, sum, count }] of latencies) {
    const inner = key.slice(1, -1);
    let below = 0;
    BOUNDS.forEach((bound, i) => {
      below += buckets[i]!;
      lines.push(`skerry_request_seconds_bucket{${inner},le="${bound}"} ${below}`);
    });
    lines.push(`skerry_request_seconds_bucket{${inner},le="+Inf"} ${count}`);
    lines.push(`skerry_request_seconds_sum${key} ${sum}`, `skerry_request_seconds_count${key} ${count}`);
  }
  family("skerry_request_seconds", "histogram", "Seconds until the response began.", lines);
  for (const { name, help, type, samples } of extra)
    family(
      name,
      type,
      help,
      samples.map((sample) => `${name}${labels(sample.labels)} ${sample.value}`),
    );
  return `${out.join("\n")}\n`;
}

function add(map: Map<string, number>, key: string, by: number): void {
  if (!map.has(key) && map.size >= MAX_SERIES) return;
  map.set(key, (map.get(key) ?? 0) + by);
}

const written = new Map<string, string>();

/** The labels of a route, written once: every request is of one. */
function routeLabels(method: string, route: string): string {
  const key = `${method} ${route}`;
  let text = written.get(key);
  if (text === undefined) {
    text = labels({ method, route }).slice(1, -1);
    if (written.size < MAX_SERIES) written.set(key, text);
  }
  return text;
}

function labels(pairs: Record<string, string>): string {
  const text = Object.entries(pairs).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
  );
  return text.length === 0 ? "" : `{${text.join(",")}}`;
}
