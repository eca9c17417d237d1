import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildClient } from "./build.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const KB = 1024;
/** By consumer, as build.mjs names them: bytes, minified and gzipped. */
const BUDGET: Record<string, number> = {
  "streams, rooms by REST, models": 13 * KB,
  "rooms, live": 17 * KB,
  groups: 27 * KB,
  agents: 29 * KB,
  certificates: 4 * KB,
  hooks: 15 * KB,
};

let folder: string;
let sizes: Record<string, number>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skerry-pack-"));
  sizes = await buildClient(join(folder, "dist"));
  const packed = run("npm", ["pack", join(folder, "dist"), "--pack-destination", folder, "--offline", "--silent"], folder);
  expect(packed.status, packed.output).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(command: string, args: string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 170_000 });
  return { status, output: stdout + stderr };
}

/** A project with the tarball installed, without a network, and packages of the workspace beside it. */
function project(name: string, files: Record<string, string>, packages: string[]): string {
  const app = join(folder, name);
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  const tarball = join(folder, "skerry-client-0.1.0.tgz");
  const installed = run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", tarball], app);
  expect(installed.status, installed.output).toBe(0);
  for (const each of packages) {
    const to = join(app, "node_modules", each);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", each), to);
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(app, file), text);
  return app;
}

const typecheck = (app: string, file: string, moduleResolution: "bundler" | "nodenext", ...more: string[]) => {
  const module = moduleResolution === "nodenext" ? "nodenext" : "esnext";
  // Libraries are checked as well: what the package declares must hold without our settings.
  const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--jsx", "react-jsx", ...more];
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  return run(
    process.execPath,
    [tsc, ...options, "--target", "es2022", "--lib", "es2022,dom", "--module", module, "--moduleResolution", moduleResolution, file],
    app,
  );
};

/** Files of this repository that the types of a project were read from: there must be none, whatever packages are linked. */
const sourcesRead = (app: string, file: string, moduleResolution: "bundler" | "nodenext"): string[] => {
  const { output } = typecheck(app, file, moduleResolution, "--listFilesOnly");
  if (!output.includes("node_modules/@skerry/client/")) throw new Error(`The package was not read:\n${output}`);
  return output.split("\n").filter((path) => path.startsWith(ROOT) && !path.startsWith(join(ROOT, "node_modules/")));
};

const STREAMS = `
import { createClient, SkerryError, type TableRow } from "@skerry/client";
type Delay = { count: number; mean: number | null };
const client = createClient({ url: process_url(), token: () => "t" });
export async function main(): Promise<TableRow<Delay>[]> {
  try {
    await client.streams.topic<{ id: number }>("t").producer().send({ id: 1 });
    // @ts-expect-error: a record of another shape
    await client.streams.topic<{ id: number }>("t").append([{ no: 1 }]);
    return (await client.streams.table<Delay>("delays").query({ key: "ATL" })).rows;
  } catch (error) {
    if (error instanceof SkerryError && error.code === "topic_not_found") return [];
    throw error;
  }
}
declare function process_url(): string;
`;

const ALL = `
import { createClient } from "@skerry/client";
import { connectRoom, type Room } from "@skerry/client/rooms";
import { useAwareness, useGroupKey, useRoom, useShared, useTable, useWatch } from "@skerry/client/react";
import { barrier, joinFleet, jobQueue } from "@skerry/client/agents";
import { get, openGroup, put, when, type Entry } from "@skerry/client/groups";
import * as Y from "yjs";
const client = createClient({ url: "http://x" });
const group = openGroup(client, "desk");
export async function work(): Promise<string | undefined> {
  const fleet = await joinFleet<{ city: string }>(group, "f", { about: { city: "oslo" } });
  const claim = await jobQueue<{ n: number }, string>(group, "q").claim({ lease: fleet.lease });
  // @ts-expect-error: a result of another type
  await claim?.complete(claim.payload.n);
  await barrier(group, "b", 2, { timeout: 1000 });
  const done = await group.txn().if(when("a").absent()).do(put("a", "1"), get("b")).commit();
  const entry: Entry | null = done.succeeded ? done.answers[1] : null;
  return entry?.text;
}
export function Keys() {
  const { entries } = useWatch(group, "a/");
  return <p>{useGroupKey(group, "duty").entry?.text}{entries.length}</p>;
}
export function Note() {
  const { room, status } = useRoom(() => connectRoom(client, "notes", { doc: new Y.Doc() }), []);
  const same: Room | null = room;
  const [people, setMe] = useAwareness<{ name: string }>(room);
  const text = useShared(room?.doc.getText("note") ?? null, (note) => note.toString());
  const { rows } = useTable<{ count: number }>(client, "delays");
  const total: number = rows.reduce((sum, row) => sum + row.value.count, 0);
  return <p onClick={() => setMe({ name: "Ada" })}>{same?.name}{status.undurable}{people[0]?.state.name}{text}{total}</p>;
}
`;

describe("the package", () => {
  it("holds what is built and nothing else, and is as small as it says", () => {
    const manifest = JSON.parse(readFileSync(join(folder, "dist/package.json"), "utf8"));
    expect(Object.keys(manifest.exports)).toEqual([".", "./rooms", "./groups", "./agents", "./react", "./certificate"]);
    const listed = run("tar", ["-tzf", join(folder, "skerry-client-0.1.0.tgz")], folder).output;
    expect(listed).not.toMatch(/\.test\.|fixture|\/src\/.*[^d]\.ts$/m);
    expect(listed).toMatch(/package\/LICENSE/);
    console.log(
      `gzipped: ${Object.entries(sizes)
        .map(([name, bytes]) => `${name} ${(bytes / KB).toFixed(1)} KB`)
        .join("; ")}`,
    );
    expect(Object.keys(sizes)).toEqual(Object.keys(BUDGET));
    for (const [name, bytes] of Object.entries(sizes)) expect(bytes, name).toBeLessThan(BUDGET[name]!);
  });

  it("works without Yjs and React where only streams are used: in Node, under tsc, in a bundle", async () => {
    const app = project("streams", { "use.ts": STREAMS, "run.mjs": RUN }, []);
    expect(typecheck(app, "use.ts", "nodenext").output).toBe("");
    expect(sourcesRead(app, "use.ts", "nodenext")).toEqual([]);
    const outfile = join(app, "bundled.mjs");
    await build({ entryPoints: [join(app, "run.mjs")], outfile, bundle: true, format: "esm", platform: "browser", logLevel: "silent" });
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.writeHead(200, { "content-type": "application/json" }).end('{"rows":[],"cursor":null,"partitions":[]}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    // In a process of its own and without blocking this one, which answers it.
    const { spawn } = await import("node:child_process");
    for (const program of ["run.mjs", "bundled.mjs"]) {
      const child = spawn(process.execPath, [program, `http://127.0.0.1:${port}`], { cwd: app, stdio: "inherit" });
      expect(await new Promise((resolve) => child.on("exit", resolve)), program).toBe(0);
      expect(asked.splice(0), program).toEqual(["GET /v1/tables/delays?key=ATL Bearer secret"]);
    }
    server.close();
  });

  it("has rooms and hooks for those who bring Yjs and React", async () => {
    const needed = ["yjs", "y-protocols", "lib0", "isomorphic.js", "react", "@types/react", "csstype", "react-dom"];
    const app = project("all", { "use.tsx": ALL, "run.mjs": RUN_ALL }, needed);
    expect(typecheck(app, "use.tsx", "bundler").output).toBe("");
    expect(sourcesRead(app, "use.tsx", "bundler")).toEqual([]);
    expect(run(process.execPath, ["run.mjs"], app)).toEqual({ status: 0, output: "closed 1 true\n" });
    const { metafile } = await build({
      entryPoints: [join(app, "use.tsx")],
      ...{ bundle: true, format: "esm", platform: "browser", jsx: "automatic", write: false, metafile: true, logLevel: "silent" },
    });
    const copies = Object.keys(metafile.inputs).filter((path) => path.endsWith("yjs/dist/yjs.mjs"));
    expect(copies.length).toBe(1);
  });

  it("is not packed from its sources, which need the rest of the repository", () => {
    const copy = join(folder, "sources");
    cpSync(join(ROOT, "client/package.json"), join(copy, "package.json"));
    cpSync(join(ROOT, "client/build.mjs"), join(copy, "build.mjs"));
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
    const { status, output } = run("npm", ["pack", "--offline"], copy);
    expect(status).not.toBe(0);
    expect(output).toContain("npm pack ./client/dist");
    expect(existsSync(join(copy, "skerry-client-0.1.0.tgz"))).toBe(false);
  });
});

const RUN = `
import { createClient } from "@skerry/client";
const { rows } = await createClient({ url: process.argv[2], token: "secret" }).streams.table("delays").query({ key: "ATL" });
if (rows.length !== 0) throw new Error("rows");
`;

// The three entries are one package: a client of one is known to the others, and so is an error.
const RUN_ALL = `
import { createClient, SkerryError } from "@skerry/client";
import { connectRoom } from "@skerry/client/rooms";
import { useTable } from "@skerry/client/react";
import * as Y from "yjs";
const doc = new Y.Doc();
const room = connectRoom(createClient({ url: "http://127.0.0.1:9" }), "notes", { doc });
doc.getText("note").insert(0, "x");
const waiting = room.whenDurable().catch((error) => error instanceof SkerryError && typeof useTable === "function");
room.close();
console.log(room.status.state, room.status.undurable, await waiting);
`;
