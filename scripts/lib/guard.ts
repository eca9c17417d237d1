import { type ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { basename, join } from "node:path";
import { ROOT } from "./paths.ts";

export type Guard = {
  /** The process ids of the runtimes that this process has started and that have not ended. */
  runtimes(): number[];
  /** Calls back whenever the set of running runtimes changes. */
  onChange(listener: () => void): void;
  /**
   * Asks the runtimes to take no more connections and to finish what is under way, and calls `end` when all have ended or
   * the time, in milliseconds, has passed. Where the last one ends, `end` is called in the same turn: whoever started it
   * would take that for a crash and start another.
   */
  drain(within: number, end: () => Promise<void>): Promise<void>;
  release(): void;
};

const PAUSE = 50;

/**
 * Guards every workerd that this process starts from now on: a watchdog kills it should this process die without
 * having ended it. If the watchdog itself is killed, another is started at once.
 */
export function guardRuntimes(): Guard {
  const runtimes = new Set<number>();
  const listeners: (() => void)[] = [];
  let onLastEnd: (() => void) | null = null;
  let released = false;
  let watchdog = startWatchdog();

  function startWatchdog(): ChildProcess {
    const child = spawn(process.execPath, [join(ROOT, "scripts/lib/watchdog.mjs")], { stdio: ["pipe", "ignore", "ignore"] });
    child.stdin!.on("error", () => {});
    child.unref();
    for (const pid of runtimes) child.stdin!.write(`+${pid}\n`);
    child.once("exit", () => {
      if (!released) watchdog = startWatchdog();
    });
    return child;
  }

  function tell(sign: "+" | "-", pid: number): void {
    watchdog.stdin!.write(`${sign}${pid}\n`);
    for (const listener of listeners) listener();
  }

  // Node announces each child process that it makes, whichever library asked for it.
  const onChild = (message: unknown) => {
    const child = (message as { process: ChildProcess }).process;
    child.once("spawn", () => {
      const { pid } = child;
      if (pid === undefined || !basename(child.spawnfile).startsWith("workerd")) return;
      runtimes.add(pid);
      tell("+", pid);
      child.once("exit", () => {
        runtimes.delete(pid);
        tell("-", pid);
        if (runtimes.size === 0) onLastEnd?.();
      });
    });
  };
  subscribe("child_process", onChild);

  return {
    runtimes: () => [...runtimes],
    onChange: (listener) => listeners.push(listener),
    drain(within, end) {
      return new Promise((resolve) => {
        const finish = () => {
          onLastEnd = null;
          clearTimeout(timer);
          resolve(end());
        };
        // Many short pauses, not one: where the machine is so busy that timers are late, these are late too.
        let left = Math.ceil(within / PAUSE);
        const tick = () => {
          if (left-- <= 0) finish();
          else timer = setTimeout(tick, PAUSE);
        };
        let timer = setTimeout(tick, 0);
        onLastEnd = finish;
        for (const pid of runtimes) {
          try {
            process.kill(pid, "SIGTERM");
          } catch {
            // It has ended by itself a moment ago.
          }
        }
        if (runtimes.size === 0) finish();
      });
    },
    release() {
      released = true;
      unsubscribe("child_process", onChild);
      watchdog.stdin!.end();
    },
  };
}
