// Sees to it that the runtime never outlives its supervisor, not even when that is killed with SIGKILL.
//
// The supervisor starts this process with a pipe as its standard input and writes a line for every runtime it starts
// or ends: "+PID" or "-PID". The kernel closes the pipe when the supervisor dies, however it dies; then every runtime
// that is still listed is killed. Signals meant for the supervisor's terminal are ignored here, so that a Ctrl-C
// cannot end the watchdog before its work is done.
import { createInterface } from "node:readline";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const runtimes = new Set();
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const pid = Number(line.slice(1));
  if (!Number.isInteger(pid) || pid <= 1) return;
  if (line.startsWith("+")) runtimes.add(pid);
  else runtimes.delete(pid);
});
lines.on("close", () => {
  for (const pid of runtimes) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  process.exit(0);
});
