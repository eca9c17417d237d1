// `npm run verify -- forest`: the committed model against scikit-learn itself (--rows 20000 --seed N).
// Sets up a Python environment in .cache/venv with pinned packages, trains again (the artifact must come out the same byte for
// byte), and compares scikit-learn's scores with ours for every flight of the training days, hard rows, and fresh random rows.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Forest } from "../../core/inference/forest.ts";
import { MAX_ROWS } from "../../core/inference/port.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const VENV = join(ROOT, ".cache/venv");
const PYTHON = join(VENV, "bin/python");
const TOLERANCE = 1e-6;

class Refusal extends Error {}

try {
  main();
} catch (error) {
  console.error(error instanceof Refusal ? error.message : error);
  process.exitCode = 1;
}

function main() {
  const { values } = parseArgs({ options: { rows: { type: "string", default: "20000" }, seed: { type: "string" } } });
  const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
  if (!/^\d+$/.test(values.rows) || !/^\d+$/.test(seed)) throw new Refusal("--rows and --seed are whole numbers.");
  install();
  const directory = mkdtempSync(join(tmpdir(), "skerry-forest-"));
  try {
    const out = join(directory, "scores.bin");
    console.log(`scikit-learn trains and scores (--seed ${seed} replays the random rows) …`);
    run(PYTHON, [join(ROOT, "scripts/train/train_forest.py"), "--check", "--fresh", values.rows, "--seed", seed, "--out", out]);
    compare(readFileSync(out));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function install() {
  if (!existsSync(PYTHON)) {
    mkdirSync(dirname(VENV), { recursive: true });
    console.log("Making a Python environment in .cache/venv …");
    run("python3", ["-m", "venv", VENV], "This needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv).");
  }
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", join(ROOT, "scripts/train/requirements.txt")];
  run(PYTHON, pip, "pip could not install scikit-learn: it needs a network connection and Python 3.11 or newer.");
}

/** @param {Buffer} file counts, threshold, float32 rows and float64 scores, as train_forest.py writes them */
function compare(file) {
  const [flights, n, d] = [file.readUInt32LE(0), file.readUInt32LE(4), file.readUInt32LE(8)];
  const threshold = file.readDoubleLE(12);
  const rows = new Float32Array(new Uint8Array(file.subarray(20, 20 + n * d * 4)).buffer);
  const expected = new Float64Array(new Uint8Array(file.subarray(20 + n * d * 4)).buffer);
  if (rows.length !== n * d || expected.length !== n) throw new Refusal("scikit-learn's output is cut short.");

  const module = new WebAssembly.Module(readFileSync(join(ROOT, "wasm/artifacts/skerry_inference.wasm")));
  const forest = Forest.load(new WebAssembly.Instance(module).exports, readFileSync(join(ROOT, "wasm/artifacts/flight-forest.bin")));
  if (forest.threshold !== threshold) throw new Refusal(`The artifact's threshold is ${forest.threshold}; training gives ${threshold}.`);
  const [worst, disagree, unusual] = [{ off: 0, row: -1 }, [], { ours: 0, theirs: 0 }];
  for (let from = 0; from < n; from += MAX_ROWS) {
    const count = Math.min(MAX_ROWS, n - from);
    const scores = forest.score(rows.subarray(from * d, (from + count) * d), count);
    for (let i = 0; i < count; i++) {
      const [ours, theirs] = [scores[i], expected[from + i]];
      const off = Math.abs(ours - theirs);
      // A NaN on either side must not pass for small.
      if (!(off <= worst.off)) Object.assign(worst, { off, row: from + i });
      if (from + i >= flights) continue;
      if (ours >= threshold !== theirs >= threshold) disagree.push(from + i);
      unusual.ours += Number(ours >= threshold);
      unusual.theirs += Number(theirs >= threshold);
    }
  }
  console.log(
    `${n} rows (${flights} flights, the rest hard or random): greatest difference ${worst.off.toExponential(2)}, in row ${worst.row}`,
  );
  console.log(`unusual flights: ${unusual.ours} by us, ${unusual.theirs} by scikit-learn, ${disagree.length} judged differently`);
  if (!(worst.off < TOLERANCE)) throw new Refusal(`Not ok: row ${worst.row} is off by ${worst.off}; at most ${TOLERANCE} is allowed.`);
  if (disagree.length > 0) throw new Refusal(`Not ok: flights judged differently: ${disagree.slice(0, 10).join(", ")}.`);
  console.log("ok: scores equal scikit-learn's to 1e-6.");
}

function run(command, args, advice) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) throw new Refusal(advice ?? `${command} ${args[0]} failed${error ? `: ${error.message}` : ""}.`);
}
