import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../lib/paths.ts";
import { Refusal } from "../../lib/refusal.ts";
import { Generator } from "./generate.ts";
import { AUTH_SETUP, REFUSED, type Refusals, type RefusedAnswer, SETUP } from "./refusals.ts";
import { explained, type Pair, Run } from "./run.ts";
import type { Sides } from "./shrink.ts";

/** Requests and what a real etcd answered, stream by stream where answers come over time. */
export type Golden = { etcd: string; seed: number; pairs: Pair[] };

/** Seeds whose first operations hold every path, and together every kind of answer. */
export const GOLDEN_SEEDS = [1, 2, 3];
const OPERATIONS = 150;
const FOLDER = join(ROOT, "test/golden/etcd");
const REFUSALS = join(FOLDER, "refusals.golden.json");

export function readGolden(seed: number): Golden {
  return JSON.parse(readFileSync(fileOf(seed), "utf8")) as Golden;
}

/** Writes the golden files anew from a real etcd, one a seed. Where our core differs, it says so and writes all the same. */
export async function writeGolden(sides: Sides, version: () => string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  for (const seed of GOLDEN_SEEDS) {
    const generator = new Generator(seed);
    const run = new Run(await sides(), { keep: true });
    try {
      for (let index = 1; ; index++) {
        const step = index <= OPERATIONS ? generator.next(run.revision) : generator.end(run.revision);
        if (step === null) break;
        const mismatch = await run.step({ index, step });
        if (mismatch !== null) console.log(explained(mismatch, ["etcd", "Skerry"]));
      }
    } finally {
      await run.close();
    }
    const lines = run.pairs.map((pair) => `    ${JSON.stringify(pair)}`);
    writeFileSync(
      fileOf(seed),
      `{\n  "etcd": ${JSON.stringify(version())},\n  "seed": ${seed},\n  "pairs": [\n${lines.join(",\n")}\n  ]\n}\n`,
    );
    console.log(`${fileOf(seed)}: ${run.pairs.length} steps`);
  }
}

export function readRefusals(): Refusals {
  return JSON.parse(readFileSync(REFUSALS, "utf8")) as Refusals;
}

/** Writes down what a real etcd answers to each of {@link REFUSED}. `base`: all of its URL before `/kv/put`. */
export async function writeRefusals(base: string, version: string): Promise<void> {
  const answers: Record<string, RefusedAnswer> = {};
  const ask = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${base}/${path}`, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
    return { status: response.status, body: await response.text() };
  };
  const prepare = async (steps: typeof SETUP) => {
    for (const { path, body } of steps) {
      const { status, body: said } = await ask(path, body);
      if (status !== 200) throw new Refusal(`etcd refused ${path}: ${status} ${said}`);
    }
  };
  await prepare(SETUP);
  for (const { name, path, body, auth } of REFUSED) if (auth === undefined) answers[name] = await ask(path, body());
  await prepare(AUTH_SETUP);
  for (const { name, path, body, auth } of REFUSED) if (auth !== undefined) answers[name] = await ask(path, body(), auth);
  for (const [name, { status }] of Object.entries(answers)) if (status === 200) throw new Refusal(`etcd does not refuse ${name}.`);
  writeFileSync(REFUSALS, `${JSON.stringify({ etcd: version, answers } satisfies Refusals, null, 2)}\n`);
  console.log(`${REFUSALS}: ${Object.keys(answers).length} refusals`);
}

function fileOf(seed: number): string {
  return join(FOLDER, `seed-${seed}.golden.json`);
}
