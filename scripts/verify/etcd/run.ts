import { sleep } from "../../lib/processes.ts";
import { heard, masked, Names, torn } from "./compare.ts";
import { type Numbered, told } from "./steps.ts";
import type { Answer, Stream, Target } from "./target.ts";

const UNTIL_MS = 5_000;
const PAUSE_MS = 250;

/** The first thing in which two sides differ; `kind`: in which way, for one that is still the same with fewer steps. */
export type Mismatch = { at: Numbered; what: string; kind: string; a: string; b: string };
/** A step and what both sides answered, for the golden file; streams as {@link heard}. */
export type Pair = { step: Numbered["step"]; index: number; status?: number; answer?: string; heard?: string[] };

type Side = { target: Target; names: Names; streams: Map<string, Stream> };

/** Does steps to two sides (or to one, to record it) and compares. */
export class Run {
  readonly pairs: Pair[] = [];
  /** The revision of the last answer of the first side. */
  revision = 1;
  readonly #sides: Side[];
  readonly #paths = new Map<string, string>();
  readonly #compacted = new Set<string>();
  readonly #keep: boolean;
  readonly #settleMs: number;

  /**
   * @param options `settleMs`: how long both sides have to say the same on a stream before they count as different; `keep`: whether
   * to keep {@link pairs}.
   */
  constructor(targets: Target[], { settleMs = 3_000, keep = false } = {}) {
    this.#sides = targets.map((target) => ({ target, names: new Names(), streams: new Map() }));
    this.#keep = keep;
    this.#settleMs = settleMs;
  }

  async step(at: Numbered): Promise<Mismatch | null> {
    const { step } = at;
    switch (step.do) {
      case "call":
        return this.#call(at, step.path, step.body);
      case "open":
        this.#paths.set(step.stream, step.path);
        for (const { target, names, streams } of this.#sides) streams.set(step.stream, target.open(step.path, names.fill(step.body)));
        this.#pair(at, {});
        return null;
      case "settle":
        return this.#settle(at, step.stream);
      case "close":
        for (const { streams } of this.#sides) {
          streams.get(step.stream)?.close();
          streams.delete(step.stream);
        }
        this.#pair(at, {});
        return null;
      case "pause":
        await sleep(PAUSE_MS);
        return null;
      case "until":
        return this.#until(at, step.path, step.body, step.has);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sides.map(({ target }) => target.close()));
  }

  async #call(at: Numbered, path: string, body: string): Promise<Mismatch | null> {
    const answers = await Promise.all(
      this.#sides.map(async ({ target, names }): Promise<Answer> => {
        const answer = await target.call(path, names.fill(body)).catch((error: Error) => ({ status: 0, body: error.message }));
        names.learn(at.index, path, body, answer);
        return { status: answer.status, body: masked(path, names.blank(answer.body)) };
      }),
    );
    const [a, b = a] = answers as [Answer, Answer];
    this.revision = Number(/^{"header":{[^}]*"revision":"(\d+)"/.exec(a.body)?.[1] ?? this.revision);
    if (path === "kv/compaction" && a.status === 200) this.#compacted.add(/"revision":"?(\d+)/.exec(body)?.[1] ?? "");
    this.#pair(at, { status: a.status, answer: a.body });
    if (a.status === b.status && a.body === b.body && a.status !== 0) return null;
    return { at, what: "different answers", kind: `${a.status} ${b.status}`, a: `${a.status} ${a.body}`, b: `${b.status} ${b.body}` };
  }

  async #settle(at: Numbered, name: string): Promise<Mismatch | null> {
    const path = this.#paths.get(name) ?? "";
    if (this.#sides.every(({ streams }) => !streams.has(name))) return null;
    const said = () =>
      this.#sides.map(({ streams, names }) => {
        const stream = streams.get(name);
        return stream === undefined ? [] : [`${stream.status()}`, ...heard(path, names.blank(stream.text()), this.#compacted)];
      }) as [string[], string[]];
    const end = Date.now() + this.#settleMs;
    for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
      const [a, b = a] = said();
      // A side that has said nothing yet is not done.
      const same = a.length > 1 && a.length === b.length && a.every((line, i) => line === b[i]);
      if (same || Date.now() > end) {
        this.#pair(at, { heard: a });
        const wrong = path === "watch" ? this.#sides.flatMap(({ streams }) => torn(streams.get(name)?.text() ?? "")) : [];
        if (same && wrong.length === 0) return null;
        const first = Math.max(
          0,
          a.findIndex((line, i) => line !== b[i]),
        );
        const from = (lines: string[]) =>
          `${lines.length - 1} said; from the first difference on:\n      ${lines.slice(first, first + 6).join("\n      ")}`;
        const kind = [wrong.length > 0, a[0], b[0], a[first] === undefined, b[first] === undefined].join(" ");
        return { at, what: wrong.join("; ") || `stream ${name} (${path}) differs`, kind, a: from(a), b: from(b) };
      }
      await sleep(wait);
    }
  }

  async #until(at: Numbered, path: string, body: string, has: string): Promise<Mismatch | null> {
    const last = await Promise.all(
      this.#sides.map(async ({ target, names }) => {
        const end = Date.now() + UNTIL_MS;
        for (;;) {
          const answer = await target.call(path, names.fill(body)).catch((error: Error) => ({ status: 0, body: error.message }));
          if (answer.body.includes(has)) return null;
          if (Date.now() > end) return `${answer.status} ${answer.body}`;
          await sleep(2);
        }
      }),
    );
    this.#pair(at, {});
    if (last.every((each) => each === null)) return null;
    const [a, b = a] = last.map((each) => each ?? "(it had)") as [string, string];
    return { at, what: `never had ${has}`, kind: last.map((each) => each === null).join(" "), a, b };
  }

  #pair({ index, step }: Numbered, rest: Omit<Pair, "step" | "index">): void {
    if (this.#keep) this.pairs.push({ index, step, ...rest });
  }
}

/** A mismatch for people. */
export function explained({ at, what, a, b }: Mismatch, names: [string, string]): string {
  return `${what} at step\n  ${told(at)}\n    ${names[0]}: ${a}\n    ${names[1]}: ${b}`;
}
