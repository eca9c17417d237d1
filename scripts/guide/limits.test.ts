import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../../core/wire/errors.ts";
import { SAMPLES } from "../../core/wire/limits.ts";
import { ROOT } from "../lib/paths.ts";
import { readDocument } from "./markdown.ts";

const PAGE = "docs/limits.md";
const source = readFileSync(join(ROOT, PAGE), "utf8");
const { tables } = readDocument(PAGE, source);
const rows = tables.filter(({ header }) => header.includes("set by")).flatMap(({ rows }) => rows as [string, string, string, string][]);

/** What one of each unit is: bytes and counts as such, times in milliseconds. */
const UNITS: Record<string, number> = {
  "": 1,
  bytes: 1,
  characters: 1,
  KiB: 1024,
  MB: 1_000_000,
  MiB: 1024 ** 2,
  ms: 1,
  s: 1000,
  min: 60_000,
  day: 86_400_000,
  days: 86_400_000,
};
/** What a constant may count where the page speaks of time. */
const TIMES: Record<string, number> = { MAX_LIFETIME: 1000, DEFAULT_MAX_LIFETIME: 1000, KEPT_HOURS: 3_600_000 };

function written(value: string): number {
  const [, digits, unit] = /^([\d.,]+) ?(.*)$/.exec(value) ?? [];
  const factor = UNITS[unit ?? "?"];
  if (digits === undefined || factor === undefined) throw new Error(`"${value}" is no figure with a unit that this test knows.`);
  return Number(digits.replaceAll(",", "")) * factor;
}

/** What the source says of `NAME`, `NAME.member`, or a rate limit of wrangler.toml. */
function inSource(name: string, path: string): number {
  const text = readFileSync(join(ROOT, path), "utf8");
  if (path === "wrangler.toml") {
    const [, limit, period] = new RegExp(`name = "${name}"[^[]*limit = (\\d+), period = (\\d+)`).exec(text) ?? [];
    return (Number(limit) * SAMPLES[name as keyof typeof SAMPLES] * 60) / Number(period);
  }
  const [constant = "", member] = name.split(".");
  const begin = text.search(new RegExp(`^(export )?const ${constant}\\b`, "m"));
  if (begin < 0) throw new Error(`${path} has no constant ${constant}.`);
  const statement = text.slice(begin, text.indexOf(";", begin));
  const expression = member === undefined ? statement.split(/ = (.*)/s)[1] : new RegExp(`\\b${member}: ([^,}\\n]+)`).exec(statement)?.[1];
  return product((expression ?? "").trim()) * (TIMES[constant] ?? 1);
}

/** `8 * MiB`, `2 * 1024`: products of numbers and the names that the sources give to units. */
function product(expression: string): number {
  const names: Record<string, number> = { MiB: 1024 ** 2, DAY_MS: 86_400_000 };
  return expression.split("*").reduce((sum, factor) => sum * (names[factor.trim()] ?? Number(factor.trim().replaceAll("_", ""))), 1);
}

describe("the page of limits", () => {
  it.each(rows)("%s: %s", (_, value, beyond, by) => {
    const [name, path] = by.split(" ") as [string, string];
    expect(written(value), `${name} in ${path}`).toBe(inSource(name, path));
    expect(source, `a link to ${path}`).toContain(`](../${path})`);
    for (const code of beyond.match(/\b[a-z]+(_[a-z]+)+\b/g) ?? []) expect(Object.keys(ERRORS)).toContain(code);
  });

  it("reads enough of them, and a constant that is gone is an error", () => {
    expect(rows.length).toBeGreaterThan(40);
    expect(() => inSource("MAX_NOTHING", "core/streams/records.ts")).toThrow("no constant");
    expect(inSource("ROOM_OPTIONS.commitDelay", "core/crdt/options.ts")).not.toBe(
      inSource("ROOM_OPTIONS.maxFrameBytes", "core/crdt/options.ts"),
    );
  });

  it("gives the close codes that the table of errors gives", () => {
    for (const [, , beyond] of rows) {
      for (const [, code, close] of beyond.matchAll(/(\w+) \((\d{4})\)/g))
        expect(ERRORS[code as keyof typeof ERRORS].close, code).toBe(Number(close));
    }
  });

  it("agrees with what the capabilities' own pages say of the same codes", () => {
    const inPages = ["docs/streams.md", "docs/rooms.md", "THREAT_MODEL.md"].flatMap((path) =>
      readDocument(path, readFileSync(join(ROOT, path), "utf8"))
        .tables.filter(({ header }) => header[0] === "limit")
        .flatMap(({ rows }) => rows),
    );
    const figures = new Set([
      ...rows.map(([, value]) => value),
      ...[...source.matchAll(/[\d,.]+ (?:MiB|KiB|MB|days|bytes)/g)].map(([text]) => text),
    ]);
    for (const [what, value = ""] of inPages)
      for (const [figure] of value.matchAll(/[\d,.]+ (?:MiB|KiB|MB|days|bytes)/g))
        expect([...figures], `${what}: ${value}`).toContain(figure);
  });
});
