// `npm run dev`: both Workers under `wrangler dev`, which reloads them when a source changes. The admin key is the one of
// `npm start`; the state is kept apart from it, because the two runtimes must not share files.
import { join } from "node:path";
import { buildConsole } from "./lib/build-console.ts";
import { WORKERS } from "./lib/build-workers.ts";
import { DEFAULT_STATE, ROOT } from "./lib/paths.ts";
import { command } from "./lib/refusal.ts";
import { adminKey } from "./lib/state.ts";
import { runTool } from "./lib/tools.ts";

await command(async () => {
  const { key } = adminKey(DEFAULT_STATE, process.env.SKERRY_ADMIN_KEY);
  await buildConsole();
  console.log(`admin key  ${key}\n`);
  // The first configuration is the Worker that gets the requests.
  const configs = [WORKERS.main, WORKERS.models].flatMap(({ config }) => ["-c", config]);
  const given = process.argv.slice(2);
  const defaults = { "--port": "8787", "--persist-to": join(ROOT, ".skerry/dev") };
  // wrangler refuses an option that is given twice.
  const unsaid = Object.entries(defaults).filter(
    ([name]) => !given.some((argument) => argument === name || argument.startsWith(`${name}=`)),
  );
  const local = ["--var", "SKERRY_PLACEMENT:simulated", "--var", "SKERRY_FAULTS:1"];
  const { status } = await runTool("wrangler", ["dev", ...configs, ...local, ...unsaid.flat(), ...given], {
    env: { SKERRY_ADMIN_KEY: key },
  });
  process.exitCode = status;
});
