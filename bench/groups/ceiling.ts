import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { freePort } from "../../scripts/lib/processes.ts";

/** The runtime's own ceiling, served as the platform is: on a direct socket, with state on disk. */
export async function startCeiling(): Promise<{ url: string; stop(): Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), "skerry-ceiling-"));
  const port = await freePort();
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      resourcePersistencePath: state,
      cf: false,
      workers: [
        {
          name: "ceiling",
          modules: [{ type: "ESModule", path: "ceiling.mjs", contents: readFileSync(new URL("./ceiling.mjs", import.meta.url), "utf8") }],
          compatibilityDate: "2026-10-31",
          durableObjects: { CEILING: { className: "Ceiling", useSQLite: true } },
          unsafeDirectSockets: [{ host: "127.0.0.1", port, serviceName: "ceiling" }],
        },
      ],
    }),
  );
  await runtime.ready;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      await runtime.dispose();
      rmSync(state, { recursive: true, force: true });
    },
  };
}
