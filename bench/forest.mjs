// `npm run bench -- forest`: how many flights a second the forest scores on one core (--batch 2000 --seconds 2).
// Peers in the same run: a plain JavaScript walk of the same trees, and scikit-learn where its environment is installed
// (npm run verify -- forest installs it). Each figure is the best batch: other work on the machine only ever slows one down.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { Forest } from "../core/inference/forest.ts";
import { buildWorker } from "../scripts/lib/build-workers.ts";
import { flightRows } from "../topologies/flight-features.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const { values: options } = parseArgs({
  options: { batch: { type: "string", default: "2000" }, seconds: { type: "string", default: "2" } },
});
const batch = Number(options.batch);
const seconds = Number(options.seconds);
if (!Number.isInteger(batch) || batch < 1 || !(seconds > 0))
  throw new Error("--batch is a whole number from 1, --seconds a number above 0.");

const artifact = new Uint8Array(readFileSync(join(ROOT, "wasm/artifacts/flight-forest.bin")));
const golden = JSON.parse(readFileSync(join(ROOT, "test/golden/forest.golden.json"), "utf8"));
// The flights after the first hundred are drawn at random; those are the most unusual ones.
const drawn = golden.flights.slice(100);
const flights = Array.from({ length: batch }, (_, i) => drawn[i % drawn.length]);
const rows = flightRows(flights);

const module = new WebAssembly.Module(readFileSync(join(ROOT, "wasm/artifacts/skerry_inference.wasm")));
const forest = Forest.load(new WebAssembly.Instance(module).exports, artifact);
const plain = plainForest(artifact);
const off = Math.max(...plain(rows, batch).map((score, i) => Math.abs(score - forest.score(rows, batch)[i])));
if (!(off < 1e-6)) throw new Error(`The two implementations differ by ${off}.`);

const wasm = best(() => forest.score(rows, batch));
const figures = [
  ["Rust in Wasm, in Node", wasm],
  ["plain JavaScript, in Node", best(() => plain(rows, batch))],
  ["scikit-learn score_samples, one thread", scikitLearn()],
  ["features of flights, in Node", best(() => flightRows(flights))],
  ...(await inWorkerd()),
];

console.log(`flight-forest, 100 trees of 256 samples, batches of ${batch}, best of ${seconds} s each, one core\n`);
console.log("  records/s   µs/record   Wasm is   what");
for (const [what, rate] of figures) {
  if (typeof rate === "string") console.log(`          -           -         -   ${what}: ${rate}`);
  else console.log(`${fixed(rate, 0, 11)} ${fixed(1e6 / rate, 3, 11)} ${fixed(wasm / rate, 2, 8)}x   ${what}`);
}

/** Records a second of the best batch. */
function best(run) {
  const until = performance.now() + seconds * 1000;
  let shortest = Number.POSITIVE_INFINITY;
  while (performance.now() < until) {
    const began = performance.now();
    run();
    shortest = Math.min(shortest, performance.now() - began);
  }
  return (batch / shortest) * 1000;
}

/** As one would write it without Wasm: nodes in typed arrays, a loop from the root to a leaf. */
function plainForest(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [d, psi, trees, nodes] = [view.getUint16(6, true), view.getUint32(8, true), view.getUint32(12, true), view.getUint32(16, true)];
  const sizesAt = 32 + view.getUint32(20, true);
  const valuesAt = sizesAt + 2 * trees;
  const value = Float32Array.from({ length: nodes }, (_, i) => view.getFloat32(valuesAt + 4 * i, true));
  const column = bytes.slice(valuesAt + 4 * nodes, valuesAt + 5 * nodes);
  const left = new Uint32Array(nodes);
  const roots = [];
  for (let tree = 0, first = 0; tree < trees; tree++) {
    const size = view.getUint16(sizesAt + 2 * tree, true);
    let next = first + 1;
    for (let node = first; node < first + size; node++) {
      if (column[node] === 255) continue;
      left[node] = next;
      next += 2;
    }
    roots.push(first);
    first += size;
  }
  const normalizer = trees * (2 * (Math.log(psi - 1) + 0.5772156649015329) - (2 * (psi - 1)) / psi);
  return (matrix, n) => {
    const scores = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (const root of roots) {
        let node = root;
        while (column[node] !== 255) node = matrix[i * d + column[node]] <= value[node] ? left[node] : left[node] + 1;
        sum += value[node];
      }
      scores[i] = 2 ** (-sum / normalizer);
    }
    return scores;
  };
}

function scikitLearn() {
  const python = join(ROOT, ".cache/venv/bin/python");
  if (!existsSync(python)) return "not installed; npm run verify -- forest installs it";
  const { status, stdout, stderr } = spawnSync(python, [join(ROOT, "scripts/train/train_forest.py"), "--time", String(batch)], {
    encoding: "utf8",
  });
  return status === 0 ? JSON.parse(stdout).records_per_second : `failed: ${stderr.trim().split("\n").at(-1)}`;
}

/** What a batch costs a Worker that calls `env.MODELS.score`, the RPC between the scripts included. */
async function inWorkerd() {
  const { modules, dir } = await buildWorker("models");
  const caller = `
    export default {
      async fetch(request, env) {
        const { values, n, seconds } = await request.json();
        const rows = new Float32Array(values);
        // The clock of a Worker counts whole milliseconds.
        let best = Infinity;
        const until = performance.now() + seconds * 1000;
        while (performance.now() < until) {
          const began = performance.now();
          let calls = 0;
          while (performance.now() - began < 100) {
            await env.MODELS.score("flight-forest", rows, n);
            calls++;
          }
          best = Math.min(best, (performance.now() - began) / calls);
        }
        return Response.json(best);
      },
    };`;
  const compatibilityDate = "2026-10-31";
  const options = convertV4MiniflareOptions({
    cf: false,
    workers: [
      { name: "caller", modules: true, script: caller, compatibilityDate, serviceBindings: { MODELS: "skerry-models" } },
      { name: "skerry-models", modules, modulesRoot: dir, compatibilityDate },
    ],
  });
  const miniflare = new Miniflare({ ...options, log: new Log(LogLevel.WARN) });
  try {
    const body = JSON.stringify({ values: [...rows], n: batch, seconds });
    const answered = await miniflare.dispatchFetch("http://localhost/", { method: "POST", body });
    const shortest = await answered.json();
    return [[`env.MODELS.score from a Worker, ${shortest.toFixed(2)} ms a call`, (batch / shortest) * 1000]];
  } finally {
    await miniflare.dispose();
  }
}

function fixed(value, digits, width) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).padStart(width);
}
