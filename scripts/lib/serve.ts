import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";
import { ROOM_OPTIONS } from "../../core/crdt/options.ts";
import { checkVariables } from "../../workers/variables.ts";
import type { BuiltWorker, WorkerKey } from "./build-workers.ts";
import { guardRuntimes } from "./guard.ts";
import { runtimeOptions, type Wrapper } from "./options.ts";
import { ROOT } from "./paths.ts";
import { isPortFree, until } from "./processes.ts";
import { Refusal } from "./refusal.ts";
import { adminKey, lockState } from "./state.ts";

export type ServeOptions = {
  built: Record<WorkerKey, BuiltWorker>;
  host: string;
  port: number;
  state: string;
  /** Where given values of secrets and variables are looked up: every name that begins with `SKERRY_`. */
  env: NodeJS.ProcessEnv;
  wrapper?: Wrapper;
};

export type Serving = { url: string; key: string; minted: boolean; stop(): Promise<void> };

/** How long a port may still be held by a runtime that is being ended, in milliseconds. */
const PORT_PATIENCE = 3000;

/**
 * How long objects get to write what they have accepted once the serving is to end, in milliseconds: a room gathers edits
 * for its commit delay, and a busy machine is late. Without open sockets the runtime ends sooner, by itself.
 */
const DRAIN = 20 * ROOM_OPTIONS.commitDelay;

/**
 * Serves the built Workers on a port with all state in one directory, until `stop()`.
 *
 * @throws Refusal when the state or the port is in use, or the Worker would refuse the admin key or a variable.
 */
export async function serve({ built, host, port, state, env, wrapper }: ServeOptions): Promise<Serving> {
  const lock = await lockState(state, port);
  try {
    const { key, minted } = adminKey(state, env.SKERRY_ADMIN_KEY);
    // Everything is in one place here, whatever its names say, and may be broken on purpose by who has the admin key.
    const values = { SKERRY_PLACEMENT: "simulated", SKERRY_FAULTS: "1", ...valuesOf(env), SKERRY_ADMIN_KEY: key };
    const fault = checkVariables({ ...built.main.options.bindings, ...values });
    if (fault !== null) throw new Refusal(`${fault}\nThe value is that of the environment, else the one in wrangler.toml.`);
    if (!(await until(() => isPortFree(port, host), PORT_PATIENCE, 50))) {
      throw new Refusal(`Port ${port} is in use by another program. Stop it, or choose another port with --port N.`);
    }
    const guard = guardRuntimes();
    guard.onChange(() => lock.note(guard.runtimes()));
    ignoreTerminal();
    const runtime = new Miniflare({
      ...runtimeOptions({ built, host, port, state, values, ...(wrapper && { wrapper }) }),
      log: new Log(LogLevel.WARN),
      handleStructuredLogs: ({ level, message }) =>
        (level === "error" || level === "warn" ? process.stderr : process.stdout).write(`${message}\n`),
    });
    const stop = async () => {
      await guard.drain(DRAIN, () => runtime.dispose());
      guard.release();
      lock.release();
    };
    try {
      await runtime.ready;
    } catch (error) {
      await stop();
      throw error;
    }
    return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, key, minted, stop };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Ends the serving in order, with status 0, on the first signal that asks for it. */
export function stopOnSignals(serving: Serving): void {
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Libraries end the process at once from listeners of their own; the note in the state would stay behind.
    process.removeAllListeners(signal);
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      await serving.stop();
      process.exit(0);
    });
  }
}

/**
 * Has the runtimes that are started from now on not hear a terminal's Ctrl-C, which goes to every process in it: they
 * would end at once, and with them what was accepted and not written yet.
 */
function ignoreTerminal(): void {
  const wrapper = join(ROOT, "scripts/lib/workerd.sh");
  try {
    accessSync(wrapper, constants.X_OK);
  } catch {
    return; // Where files cannot be executed so, the runtime is started as it is.
  }
  if (process.platform === "win32") return;
  const { default: workerd } = createRequire(fileURLToPath(import.meta.resolve("miniflare")))("workerd") as { default: string };
  process.env.WORKERD ??= workerd;
  process.env.MINIFLARE_WORKERD_PATH ??= wrapper;
}

/** The settings that the environment gives: they take the place of what wrangler.toml declares under the same name. */
const valuesOf = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[0].startsWith("SKERRY_") && entry[1] !== undefined),
  );
