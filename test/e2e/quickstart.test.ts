import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { type CodeBlock, readDocument } from "../../scripts/guide/markdown.ts";
import { freePort, until } from "../../scripts/lib/processes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = "docs/quickstart.md";
/** What a clone would not have. */
const NOT_CLONED = new Set(["node_modules", "dist", ".git", ".skerry", ".cache", ".wrangler", ".venv", "target"]);

/** A copy of the sources, with the packages of this checkout. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), "skerry-quickstart-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !NOT_CLONED.has(basename(path)) });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** The reader: two terminals in the folder, and an editor. Of all that the page says only the port is another. */
class Reader {
  readonly folder: string;
  readonly #port: number;
  readonly #exports: string;
  #server: ChildProcess | null = null;
  #said = "";
  /** What the last commands printed. */
  printed = "";

  constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
    this.#exports = join(folder, ".exports");
    writeFileSync(this.#exports, "");
    onTestFinished(() => this.#stop("SIGKILL"));
  }

  async follow({ lang, info, text }: CodeBlock): Promise<void> {
    const [what, name = ""] = info.split("=");
    if (what === "file") writeFileSync(join(this.folder, name), `${text}\n`);
    else if (what === "edit") this.#edit(join(this.folder, name), text);
    else if (what === "output" && lang === "json") expect(JSON.parse(lastJson(this.printed))).toMatchObject(JSON.parse(text));
    else if (what === "output") expect(this.printed).toContain(text);
    else if (lang === "bash" && text === "npm start") await this.#start();
    else if (lang === "bash") this.#run(text.replaceAll("localhost:8787", `localhost:${this.#port}`));
    else throw new Error(`Nobody knows what to do with this block:\n${text}`);
  }

  async #start(): Promise<void> {
    await this.#stop("SIGINT");
    this.#said = "";
    const inherited = Object.entries(process.env).filter(([name]) => !/^(SKERRY_|VITEST|E2E_)/.test(name));
    const server = spawn("npm", ["start", "--", "--port", String(this.#port)], {
      cwd: this.folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: Object.fromEntries(inherited),
    });
    this.#server = server;
    for (const stream of [server.stdout, server.stderr]) stream.setEncoding("utf8").on("data", (part: string) => (this.#said += part));
    await until(() => /^ready /m.test(this.#said) || server.exitCode !== null, 180_000);
    expect(this.#said).toMatch(/^ready /m);
  }

  /** A terminal's Ctrl-C reaches the whole group. */
  async #stop(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, "exit");
    process.kill(-server.pid!, signal);
    await exit;
  }

  #run(commands: string): void {
    const script = `source ${this.#exports}\nset -eo pipefail\n${commands}\nexport -p > ${this.#exports}`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: this.folder, encoding: "utf8", timeout: 120_000 });
    expect(status, `${commands}\n${stdout}${stderr}\n${this.#said}`).toBe(0);
    this.printed = stdout;
  }

  /** A line that begins like one of the file takes its place; any other is put before the first line. */
  #edit(file: string, text: string): void {
    let lines = readFileSync(file, "utf8").split("\n");
    for (const line of text.split("\n")) {
      const beginning = line.split("=")[0] as string;
      const at = line.startsWith("export") ? lines.findIndex((other) => other.startsWith(beginning)) : -1;
      lines = at < 0 ? [line, ...lines] : lines.with(at, line);
    }
    writeFileSync(file, lines.join("\n"));
  }
}

/** What a request answered, where other commands of the block have printed before it. */
const lastJson = (printed: string): string => /(?:^|\n)([[{].*)\s*$/.exec(printed)?.[1] ?? "null";

it("does what the quickstart says, word for word", { timeout: 600_000 }, async () => {
  const reader = new Reader(clone(), await freePort("localhost"));
  const { code } = readDocument(PAGE, readFileSync(join(ROOT, PAGE), "utf8"));
  expect(code.length).toBeGreaterThan(10);
  for (const block of code) await reader.follow(block);
});
