import { describe, expect, it } from "vitest";
import { countSocket, observe, render } from "./metrics.ts";

const seen = { method: "GET", route: "/v1/rooms/:room", status: 200, code: undefined, rows: 2, bytesIn: 10, bytesOut: 20 };

/** Reads the text format as a scraper does: `name{labels}` to its value. */
function scrape(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("# TYPE ")) types.add(line.split(" ")[2] as string);
    if (line.startsWith("#")) continue;
    const match = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$/.exec(line);
    if (!match) throw new Error(`not a sample: ${line}`);
    const family = (match[1] as string).replace(/_(bucket|sum|count)$/, "");
    if (!types.has(family) && !types.has(match[1] as string)) throw new Error(`untyped: ${line}`);
    samples.set((match[1] as string) + (match[2] ?? ""), Number(match[3]));
  }
  return samples;
}

describe("metrics", () => {
  it("[GT8] are counters and cumulative histograms by route and status, in the Prometheus text format", () => {
    for (const seconds of [0.0005, 0.003, 0.003, 0.7, 60]) observe({ ...seen, seconds });
    observe({ ...seen, status: 404, code: "room_not_found", seconds: 0.003 });
    countSocket("ROOM");
    const samples = scrape(render([]));
    const at = (name: string, labels: string) => samples.get(`${name}{${labels}}`);
    const route = 'method="GET",route="/v1/rooms/:room"';
    expect(at("skerry_requests_total", `${route},status="200"`)).toBe(5);
    expect(at("skerry_requests_total", `${route},status="404"`)).toBe(1);
    expect(at("skerry_errors_total", 'code="room_not_found"')).toBe(1);
    expect(at("skerry_sockets_opened_total", 'class="ROOM"')).toBe(1);
    expect(samples.get("skerry_rows_written_total")).toBe(12);
    expect([0.001, 0.0025, 0.005, 0.5, 1, 10].map((le) => at("skerry_request_seconds_bucket", `${route},le="${le}"`))).toEqual([
      1, 1, 4, 4, 5, 5,
    ]);
    expect(at("skerry_request_seconds_bucket", `${route},le="+Inf"`)).toBe(6);
    expect(at("skerry_request_seconds_count", route)).toBe(6);
    expect(at("skerry_request_seconds_sum", route)).toBeCloseTo(60.7095, 9);
  });

  it("[GT8] escape what stands in a label", () => {
    const text = render([
      { name: "skerry_test", help: "A test.", type: "gauge", samples: [{ labels: { project: 'a"b\\c\nd' }, value: 1 }] },
    ]);
    expect(text).toContain('skerry_test{project="a\\"b\\\\c\\nd"} 1');
    scrape(text);
  });

  it("[GT8] stay bounded however many series are asked for", () => {
    for (let i = 0; i < 5_000; i++) observe({ ...seen, route: `/r${i}`, seconds: 0.001 });
    expect(scrape(render([])).size).toBeLessThan(2_000 * 20);
    expect(render([])).not.toContain("/r4999");
  });
});
