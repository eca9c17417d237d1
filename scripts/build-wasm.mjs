// Rust to Wasm. `node scripts/build-wasm.mjs` writes wasm/artifacts/skerry_inference.wasm and the stamp beside it;
// `--check` rebuilds elsewhere and compares: the bytes where the stamp's own toolchain is at hand, else the hash of the source.
// `--check --no-rebuild` compares hashes only and needs no Rust; the tests run it, so that no artifact goes stale unnoticed.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const WASM = join(ROOT, "wasm");
const ARTIFACT = join(WASM, "artifacts", "skerry_inference.wasm");
const STAMP = join(WASM, "artifacts", "skerry_inference.stamp.json");
const TARGET = "wasm32-unknown-unknown";
/** What the module exports, in full (the first two are rustc's own); anything more or less is a mistake. */
const EXPORTS = [
  "__data_end",
  "__heap_base",
  "abi_version",
  "buffer_alloc",
  "buffer_free",
  "forest_features",
  "forest_free",
  "forest_load",
  "forest_score",
  "memory",
];

const MEMORY_MAX = 32 * 1024 * 1024;
const LINK = [`--max-memory=${MEMORY_MAX}`, "-zstack-size=131072"];
const OPTIMIZE = [
  "-O3",
  "--strip-debug",
  "--strip-producers",
  "--strip-target-features",
  "--enable-bulk-memory",
  "--enable-bulk-memory-opt",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-mutable-globals",
  "--enable-multivalue",
  "--enable-reference-types",
  "--enable-call-indirect-overlong",
];

const INSTALL = `No usable Rust toolchain for ${TARGET} was found. Install one of these and run again:
  rustup (any system):  rustup toolchain install ${pinnedChannel()} --profile minimal --target ${TARGET}
  Debian 12 or later:   apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld-22
  Debian 13 or later:   apt-get install --no-install-recommends rustc cargo libstd-rust-dev-wasm32 lld`;

class Refusal extends Error {}

/** @typedef {{ kind: string, rustc: string, cargo: string, version: string, env: Record<string, string>, args: string[], remap: string[] }} Toolchain */

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Refusal ? error.message : error);
  process.exitCode = 1;
}

function main(args) {
  const [check, noRebuild] = ["--check", "--no-rebuild"].map((option) => args.includes(option));
  const unknown = args.filter((arg) => arg !== "--check" && arg !== "--no-rebuild");
  if (unknown.length > 0 || (noRebuild && !check))
    throw new Refusal(`Options not understood: ${args.join(" ")}. Use: npm run build:wasm [-- --check [--no-rebuild]]`);
  if (!check) return build();
  const stamp = checkHashes();
  if (noRebuild) console.log("ok: the artifact and the source are the ones of the stamp. Nothing was rebuilt.");
  else rebuild(stamp);
}

function build() {
  const toolchain = findToolchain();
  if (!toolchain) throw new Refusal(INSTALL);
  const bytes = compile(toolchain, join(WASM, "target", "wasm"));
  mkdirSync(dirname(ARTIFACT), { recursive: true });
  writeFileSync(ARTIFACT, bytes);
  const stamp = {
    toolchain: toolchain.version,
    kind: toolchain.kind,
    binaryen: binaryenVersion(),
    source: sourceHash(),
    wasm: sha256(bytes),
  };
  writeFileSync(STAMP, `${JSON.stringify(stamp, null, 2)}\n`);
  console.log(`${relative(ROOT, ARTIFACT)}: ${bytes.length} bytes, by ${toolchain.version} (${toolchain.kind})`);
}

/** The part of the check that needs no toolchain: the stamp describes this artifact and this source. */
function checkHashes() {
  if (!existsSync(ARTIFACT) || !existsSync(STAMP)) throw new Refusal("There is no artifact to check. Run: npm run build:wasm");
  const stamp = JSON.parse(readFileSync(STAMP, "utf8"));
  if (sha256(readFileSync(ARTIFACT)) !== stamp.wasm)
    throw new Refusal("The artifact is not the one its stamp describes. Run: npm run build:wasm");
  if (sourceHash() !== stamp.source) throw new Refusal("The Rust source changed after the artifact was built. Run: npm run build:wasm");
  inspect(readFileSync(ARTIFACT));
  return stamp;
}

function rebuild(stamp) {
  const toolchain = findToolchain(stamp.toolchain);
  if (toolchain?.version !== stamp.toolchain || toolchain?.kind !== stamp.kind || binaryenVersion() !== stamp.binaryen) {
    const found = toolchain ? `found ${toolchain.version} (${toolchain.kind})` : "found none";
    if (toolchain) inspect(compileFresh(toolchain));
    console.log(`ok: the source hash matches the stamp. Bytes were not compared: that needs ${stamp.toolchain} (${stamp.kind}); ${found}.`);
    return;
  }
  const bytes = compileFresh(toolchain);
  if (!bytes.equals(readFileSync(ARTIFACT))) {
    throw new Refusal(`A rebuild with ${stamp.toolchain} gives other bytes (${sha256(bytes)}) than the artifact (${stamp.wasm}).`);
  }
  console.log(
    `ok: a rebuild with ${stamp.toolchain} (${stamp.kind}) gives the same ${bytes.length} bytes, and the source hash matches the stamp.`,
  );
}

/** Compiles with nothing cached, so that the result is of the source alone. */
function compileFresh(toolchain) {
  const directory = join(WASM, "target", "check");
  rmSync(directory, { recursive: true, force: true });
  return compile(toolchain, directory);
}

/** @param {Toolchain} toolchain */
function compile(toolchain, directory) {
  // Nothing of the machine goes into the bytes: no path of it, no time, no parallel code generation.
  const flags = [
    ...LINK.map((arg) => `-Clink-arg=${arg}`),
    `--remap-path-prefix=${WASM}=/skerry`,
    `--remap-path-prefix=${join(homedir(), ".cargo")}=/cargo`,
    ...toolchain.remap.map((path) => `--remap-path-prefix=${path}=/rust`),
  ];
  run(toolchain.cargo, ["build", "--release", "--locked", "--offline", "-p", "abi", "--target", TARGET, ...toolchain.args], {
    cwd: WASM,
    env: {
      ...process.env,
      ...toolchain.env,
      RUSTC: toolchain.rustc,
      RUSTFLAGS: undefined,
      CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"),
      CARGO_TARGET_DIR: directory,
    },
  });
  const optimized = join(directory, "skerry_inference.wasm");
  run(join(ROOT, "node_modules", ".bin", "wasm-opt"), [...OPTIMIZE, join(directory, TARGET, "release", "abi.wasm"), "-o", optimized]);
  const bytes = readFileSync(optimized);
  inspect(bytes);
  return bytes;
}

/** The promises of wasm/SPEC.md that the bytes alone can show. */
function inspect(bytes) {
  const module = new WebAssembly.Module(bytes);
  const imports = WebAssembly.Module.imports(module);
  if (imports.length > 0)
    throw new Refusal(`The module must import nothing, but imports ${imports.map((i) => `${i.module}.${i.name}`).join(", ")}.`);
  const names = WebAssembly.Module.exports(module)
    .map((e) => e.name)
    .sort();
  if (names.join() !== EXPORTS.join()) throw new Refusal(`The module exports ${names.join(", ")}; expected ${EXPORTS.join(", ")}.`);
  const memory = new WebAssembly.Instance(module).exports.memory;
  const pages = MEMORY_MAX / 65536;
  memory.grow(pages - memory.buffer.byteLength / 65536);
  try {
    memory.grow(1);
  } catch {
    return;
  }
  throw new Refusal(`The module's memory grows beyond ${MEMORY_MAX} bytes.`);
}

/**
 * The first toolchain that can build, the one the stamp names before others.
 * @returns {Toolchain | undefined}
 */
function findToolchain(wanted) {
  const found = [];
  for (const candidate of [rustupPinned, rustOnPath, debianWeb]) {
    const toolchain = candidate();
    if (toolchain && (wanted === undefined || toolchain.version === wanted)) return toolchain;
    if (toolchain) found.push(toolchain);
  }
  return found[0];
}

/** The channel of wasm/rust-toolchain.toml by rustup, with the target added if it can be. */
function rustupPinned() {
  const channel = pinnedChannel();
  const rustup = (...args) => probe("rustup", args);
  if (rustup("--version") === undefined) return undefined;
  const installed = () => rustup("target", "list", "--installed", "--toolchain", channel)?.split("\n").includes(TARGET);
  if (!installed()) rustup("toolchain", "install", channel, "--profile", "minimal", "--target", TARGET);
  if (!installed()) return undefined;
  const rustc = rustup("which", "rustc", "--toolchain", channel);
  const cargo = rustup("which", "cargo", "--toolchain", channel);
  return rustc && cargo ? describe("rustup", rustc, cargo) : undefined;
}

/** Whatever `rustc` is on the path, if it brings the target's standard library. */
function rustOnPath() {
  const library = probe("rustc", ["--print", "target-libdir", "--target", TARGET]);
  if (!library || !existsSync(library) || !readdirSync(library).some((name) => name.startsWith("libstd-"))) return undefined;
  return describe("path", "rustc", "cargo");
}

/** Debian's rustc-web has no standard library for the target, so it builds one from rust-web-src. */
function debianWeb() {
  const rustc = "/usr/bin/rustc";
  const source = "/usr/lib/rustlib/src/rust/library";
  const linker = wasmLinker();
  if (!existsSync(rustc) || !existsSync("/usr/bin/cargo") || !existsSync(source) || !linker) return undefined;
  const toolchain = describe("debian build-std", rustc, "/usr/bin/cargo");
  if (!toolchain) return undefined;
  // What std itself depends on comes with its source; the network is not needed.
  const vendor = ["source.crates-io.replace-with='vendor'", `source.vendor.directory='${source}/vendor'`];
  toolchain.args = ["-Zbuild-std=std,panic_abort", ...vendor.flatMap((setting) => ["--config", setting])];
  toolchain.env = { RUSTC_BOOTSTRAP: "1", CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: linker };
  return toolchain;
}

function wasmLinker() {
  if (probe("wasm-ld", ["--version"]) !== undefined) return "wasm-ld";
  const versions = existsSync("/usr/lib") ? readdirSync("/usr/lib").filter((name) => /^llvm-\d+$/.test(name)) : [];
  versions.sort((a, b) => Number(b.slice(5)) - Number(a.slice(5)));
  return versions.map((name) => `/usr/lib/${name}/bin/wasm-ld`).find(existsSync);
}

function describe(kind, rustc, cargo) {
  const version = probe(rustc, ["--version"]);
  const sysroot = probe(rustc, ["--print", "sysroot"]);
  if (!version || !sysroot || probe(cargo, ["--version"]) === undefined) return undefined;
  return { kind, rustc, cargo, version, env: {}, args: [], remap: [sysroot] };
}

/** The output of a command, or undefined where it is missing or fails. It runs outside wasm/, whose toolchain file redirects rustup. */
function probe(command, args) {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

function run(command, args, options = {}) {
  try {
    execFileSync(command, args, { stdio: ["ignore", "inherit", "pipe"], encoding: "utf8", ...options });
  } catch (error) {
    throw new Refusal(`${command} ${args.join(" ")} failed:\n${error.stderr ?? error.message}`);
  }
}

function pinnedChannel() {
  return /channel = "(.+)"/.exec(readFileSync(join(WASM, "rust-toolchain.toml"), "utf8"))[1];
}

function binaryenVersion() {
  return JSON.parse(readFileSync(join(ROOT, "node_modules", "binaryen", "package.json"), "utf8")).version;
}

/** Over all that decides the bytes: Rust sources, manifests, lock file, and the flags of this script. */
function sourceHash() {
  const files = [];
  const visit = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !["target", "artifacts", "tests"].includes(entry.name)) visit(path);
      else if (entry.isFile() && /\.(rs|toml|lock)$/.test(entry.name)) files.push(path);
    }
  };
  visit(WASM);
  const hash = createHash("sha256").update(JSON.stringify({ LINK, OPTIMIZE }));
  for (const path of files.sort()) hash.update(`\0${relative(WASM, path).replaceAll("\\", "/")}\0`).update(readFileSync(path));
  return hash.digest("hex");
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
