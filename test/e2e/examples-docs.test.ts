import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Server, startServer } from "./harness.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = readFileSync(join(ROOT, "docs/sdk.md"), "utf8");

/** A block of code, and the lines that it is said to print. */
type Block = { line: number; language: string; code: string; output: string[] };

const blocks: Block[] = [];
for (const { 1: language = "", 2: code = "", index } of PAGE.matchAll(/^```(\w+(?: output)?)\n(.*?)^```$/gms)) {
  if (language === "text output") blocks.at(-1)?.output.push(...code.trim().split("\n"));
  else blocks.push({ line: PAGE.slice(0, index).split("\n").length, language, code, output: [] });
}
const [first, ...rest] = blocks.filter(({ language }) => language === "ts" || language === "tsx");
const scripts = rest.filter(({ language }) => language === "ts");

let folder: string;
let server: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skerry-docs-"));
  for (const name of ["@skerry/client", "yjs", "y-protocols", "lib0", "isomorphic.js", "react", "@types", "csstype", "undici-types"]) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), '{"type": "module"}');
  const options = { types: ["node"], lib: ["ES2024", "DOM", "DOM.Iterable"], jsx: "react-jsx", noUnusedLocals: false };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: join(ROOT, "tsconfig.base.json"), compilerOptions: options, include: ["*.ts", "*.tsx"] }),
  );
  for (const { line, language, code } of rest) writeFileSync(fileOf(line, language), `${first!.code}\n${code}`);
  server = await startServer();
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const fileOf = (line: number, language: string) => join(folder, `line-${line}.${language}`);

async function run(file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const options = { cwd: folder, timeout: 120_000, env: { ...process.env, ...env } };
  const ended = promisify(execFile)(process.execPath, [file, ...args], options);
  return ended.then(
    ({ stdout, stderr }) => ({ status: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ status: code as number, output: `${stdout}${stderr}` }),
  );
}

describe("docs/sdk.md", () => {
  it("has the blocks that are run here", () => {
    expect(first?.code).toContain("createClient");
    expect(scripts.length).toBeGreaterThanOrEqual(8);
    expect(rest.length - scripts.length).toBe(1);
  });

  it("has code whose types are right", async () => {
    expect(await run(join(ROOT, "node_modules/typescript/bin/tsc"), ["-p", folder])).toEqual({ status: 0, output: "" });
  });

  it.each(scripts.map((block) => [block.line, block] as const))(
    "runs as it stands: the block at line %i",
    async (line, { language, output }) => {
      const env = { SKERRY_URL: server.url, SKERRY_TOKEN: server.adminKey, SKERRY_ADMIN_KEY: server.adminKey };
      const ran = await run(fileOf(line, language), [], env);
      expect(ran).toMatchObject({ status: 0 });
      for (const each of output) expect(ran.output).toContain(each);
    },
  );
});
