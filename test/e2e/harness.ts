import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { freePort, isAlive, isPortFree, until } from "../../scripts/lib/processes.ts";

/** How the doorbell queue misbehaves. All faults are seeded: the same seed gives the same faults. */
export type QueueFaults = {
  /** Every message is delivered twice. */
  duplicate?: boolean;
  /** Messages are delivered out of order, within a batch and across batches; the number is the seed. */
  shuffle?: number;
  /** The share of messages that are lost, 0 to 1. */
  dropRate?: number;
};

export type StartOptions = {
  /** State to start on; without it a directory of its own, removed with the server. */
  state?: string;
  /** Settings by the names wrangler.toml declares, such as `SKERRY_ANONYMOUS_GRANTS`. */
  env?: Record<string, string>;
  port?: number;
  queueFaults?: QueueFaults;
};

export type Server = {
  readonly url: string;
  readonly wsUrl: string;
  readonly adminKey: string;
  readonly stateDir: string;
  /** The supervisor, which leads a process group of its own. */
  readonly pid: number;
  /** From spawning the process to its `ready`, in milliseconds. */
  readonly readyMs: number;
  /** SIGKILL to the process group; resolves when every process of it is gone and the port is free, else throws. */
  kill(): Promise<void>;
  /** SIGKILL to the supervisor alone; resolves with the milliseconds until the runtime was gone too, throws if it stays. */
  killSupervisor(): Promise<number>;
  /** SIGTERM to the supervisor, or a terminal's Ctrl-C; resolves when all is gone, throws unless it ended with status 0. */
  stop(how?: "SIGTERM" | "Ctrl-C"): Promise<void>;
  /** Starts again on the same state and port, after `kill`, `killSupervisor` or `stop` (or stops by `kill` first). */
  restart(options?: Pick<StartOptions, "env" | "queueFaults">): Promise<Server>;
  /** Ends the server whatever its state and removes a state directory of its own; for `afterAll`. */
  close(): Promise<void>;
  /** Everything the processes have written so far, over all restarts. */
  logs(): string;
};

/** The admin key of every server the harness starts, unless `env.SKERRY_ADMIN_KEY` gives another. */
export const ADMIN_KEY = "e2e-only-Q4vN7xT2mK9sW6bZ1pR8hL3d";

/** In milliseconds; far beyond what either takes, so that a busy machine does not fail a test. */
const READY_WITHIN = 120_000;
const GONE_WITHIN = 30_000;

/**
 * Starts the built Workers as a separate process group on a free port and waits until they answer.
 *
 * Called inside a test, the server and all its restarts end with that test. Called in `beforeAll`, the caller ends it
 * in `afterAll` with `close()`. Whatever happens, no server outlives the test process.
 *
 * @example
 * const server = await startServer();
 * await fetch(`${server.url}/healthz`);
 * await server.kill();
 * const again = await server.restart();
 */
export async function startServer(options: StartOptions = {}): Promise<Server> {
  const owned = options.state === undefined;
  const state = options.state ?? mkdtempSync(join(tmpdir(), "skerry-e2e-"));
  const port = options.port ?? (await freePort());
  const life: Life = { leader: null, log: [], state, owned };
  endWithTest(life);
  return launch({ ...options, port }, life);
}

/** What the restarts of one server share: who leads it now, what it has written, and its state. */
type Life = { leader: number | null; log: string[]; state: string; owned: boolean };

const running = new Set<number>();
process.on("exit", () => {
  for (const pid of running) killGroup(pid);
});

async function launch(options: StartOptions & { port: number }, life: Life): Promise<Server> {
  const { port } = options;
  const { state, log } = life;
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("./serve.ts", import.meta.url)), String(port), state, faultsOf(options.queueFaults)],
    {
      // Its own process group, so that one signal reaches the supervisor, its watchdog and the runtime together.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: environment(options.env),
    },
  );
  const pid = child.pid!;
  running.add(pid);
  life.leader = pid;
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => log.push(text));
  const mark = log.length;
  const url = `http://127.0.0.1:${port}`;
  const said = () => log.slice(mark).join("").includes(`ready ${url}`);
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  if (!(await until(() => said() || ended(), READY_WITHIN)) || ended()) {
    await end(life);
    throw new Error(`The server did not become ready. It said:\n${log.join("")}`);
  }
  const readyMs = performance.now() - started;

  const gone = async (within: number): Promise<void> => {
    if (!(await until(async () => members(pid).length === 0 && (await isPortFree(port, "127.0.0.1")), within))) {
      throw new Error(`Processes ${members(pid).join(", ")} of the server outlived it, or port ${port} is still held.`);
    }
    running.delete(pid);
  };

  const server: Server = {
    url,
    wsUrl: url.replace("http", "ws"),
    adminKey: options.env?.SKERRY_ADMIN_KEY ?? ADMIN_KEY,
    stateDir: state,
    pid,
    readyMs,
    logs: () => log.join(""),
    close: () => end(life),
    async kill() {
      killGroup(pid);
      await gone(GONE_WITHIN);
    },
    async killSupervisor() {
      const before = performance.now();
      process.kill(pid, "SIGKILL");
      await gone(GONE_WITHIN);
      return performance.now() - before;
    },
    async stop(how = "SIGTERM") {
      if (!ended()) {
        const exit = once(child, "exit");
        // A terminal sends its signal to every process in it, the runtime included.
        if (how === "Ctrl-C") process.kill(-pid, "SIGINT");
        else process.kill(pid, how);
        const [code, signal] = await exit;
        if (code !== 0) throw new Error(`${how} ended the server with ${code ?? signal}, not 0. It said:\n${log.join("")}`);
      }
      await gone(GONE_WITHIN);
    },
    async restart(changes = {}) {
      await server.kill();
      return launch({ ...options, ...changes }, life);
    },
  };
  return server;
}

/** Registers the clean-up with the running test; a server started outside of one (in `beforeAll`) ends by {@link Server.close}. */
function endWithTest(life: Life): void {
  try {
    onTestFinished(() => end(life));
  } catch {
    // Not inside a test.
  }
}

async function end(life: Life): Promise<void> {
  const { leader } = life;
  if (leader !== null) {
    killGroup(leader);
    await until(() => members(leader).length === 0, GONE_WITHIN);
    running.delete(leader);
  }
  if (life.owned) rmSync(life.state, { recursive: true, force: true });
}

/** The test process's environment without settings of its own for Skerry, so that each server starts from the declared ones. */
function environment(given: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SKERRY_") && !name.startsWith("VITEST"));
  return { ...Object.fromEntries(inherited), SKERRY_ADMIN_KEY: ADMIN_KEY, ...given };
}

function faultsOf(faults: QueueFaults | undefined): string {
  if (faults === undefined) return "";
  return JSON.stringify({ duplicate: faults.duplicate ?? false, shuffle: faults.shuffle ?? null, dropRate: faults.dropRate ?? 0 });
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // The group is empty already.
  }
}

/** The live processes of a group. Read from /proc, so the end-to-end tests need Linux. */
function members(group: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]) === group && isAlive(pid);
      } catch {
        return false;
      }
    });
}
