import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, until } from "./processes.ts";
import { Refusal } from "./refusal.ts";

export type Etcd = { version: string; urls: string[]; kill(member: number): void; stop(): void };

/**
 * Starts a real etcd on loopback, with its state in a directory that goes with it; Debian's `etcd-server` is installed
 * where it is missing.
 *
 * @param members 1 or more; their client URLs are in the same order
 * @throws Refusal when it cannot be installed, or does not become healthy
 */
export async function startEtcd(members = 1, flags: string[] = []): Promise<Etcd> {
  const version = installed();
  const state = mkdtempSync(join(tmpdir(), "skerry-etcd-"));
  const nodes = await Promise.all(
    Array.from({ length: members }, async (_, index) => ({ name: `m${index}`, client: await address(), peer: await address() })),
  );
  const cluster = nodes.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const children: ChildProcess[] = nodes.map(({ name, client, peer }) =>
    spawn(
      "etcd",
      [
        ...["--name", name, "--data-dir", join(state, name), "--log-level", "error", "--logger", "zap"],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", cluster, "--initial-cluster-state", "new", ...flags],
      ],
      { stdio: "ignore", env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
    ),
  );
  const stop = () => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(state, { recursive: true, force: true });
  };
  process.once("exit", stop);
  const urls = nodes.map(({ client }) => client);
  const healthy = async () => {
    const answers = await Promise.all(
      urls.map((url) =>
        fetch(`${url}/health`).then(
          (response) => response.ok,
          () => false,
        ),
      ),
    );
    return answers.every(Boolean);
  };
  if (!(await until(healthy, 30_000, 100))) {
    stop();
    throw new Refusal("etcd was started but did not become healthy within 30 s.");
  }
  return {
    version,
    urls,
    kill: (member) => void children[member]?.kill("SIGKILL"),
    stop() {
      process.off("exit", stop);
      stop();
    },
  };
}

/** The version of the etcd that is on this machine, after an attempt to install it. */
function installed(): string {
  const version = () => /etcd Version: (\S+)/.exec(spawnSync("etcd", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1];
  const found = version();
  if (found !== undefined) return found;
  const root = process.getuid?.() === 0 ? [] : ["sudo"];
  const apt = (...args: string[]) => {
    const [program, ...rest] = [...root, "apt-get", ...args] as [string, ...string[]];
    return spawnSync(program, rest, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }).status === 0;
  };
  if (!apt("install", "-y", "--no-install-recommends", "etcd-server")) {
    apt("update");
    apt("install", "-y", "--no-install-recommends", "etcd-server");
  }
  const now = version();
  if (now === undefined) throw new Refusal("This needs etcd. On Debian: apt-get install etcd-server; elsewhere put `etcd` on the PATH.");
  return now;
}

async function address(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}
