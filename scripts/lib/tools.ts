import { type ChildProcess, spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { ROOT } from "./paths.ts";

/** The tools that commands run, by their entry files: each runs on the pinned Node, whatever Node is on the path. */
const TOOLS = {
  biome: "@biomejs/biome/bin/biome",
  depcruise: "dependency-cruiser/bin/dependency-cruise.mjs",
  tsc: "typescript/bin/tsc",
  vitest: "vitest/vitest.mjs",
  wrangler: "wrangler/bin/wrangler.js",
} as const;
export type Tool = keyof typeof TOOLS;

export type ToolOptions = {
  env?: Record<string, string>;
  /** Collects the output instead of showing it. */
  quiet?: boolean;
};

const running = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal);
    process.kill(process.pid, signal);
  });
}

/** Runs a tool to its end in the repository's root. */
export function runTool(tool: Tool, args: string[], options: ToolOptions = {}): Promise<{ status: number; output: string }> {
  return runNode(join(ROOT, "node_modules", TOOLS[tool]), args, options);
}

/** Runs a script on the pinned Node to its end in the repository's root; a signal to this process ends it too. */
export function runNode(
  script: string,
  args: string[],
  { env = {}, quiet = false }: ToolOptions = {},
): Promise<{ status: number; output: string }> {
  const path = [join(ROOT, "node_modules/.bin"), process.env.PATH ?? ""].join(delimiter);
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit",
    env: { ...process.env, PATH: path, WRANGLER_SEND_METRICS: "false", ...env },
  });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      running.delete(child);
      resolve({ status: code ?? 1, output });
    });
  });
}
