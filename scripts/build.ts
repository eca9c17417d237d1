// `npm run build`: builds the console and both Workers into dist/, exactly as they would be deployed.
import { relative } from "node:path";
import { build } from "./lib/build.ts";
import { bundleSize } from "./lib/build-workers.ts";
import { ROOT } from "./lib/paths.ts";
import { command } from "./lib/refusal.ts";

await command(async () => {
  for (const worker of Object.values(await build())) {
    const { bytes, gzip } = bundleSize(worker);
    const kib = (count: number) => `${Math.round(count / 1024)} KiB`;
    console.log(`${worker.script.padEnd(14)} ${kib(bytes).padStart(9)}  ${kib(gzip).padStart(9)} gzip  ${relative(ROOT, worker.dir)}`);
  }
});
