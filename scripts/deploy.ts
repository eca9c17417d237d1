// `npm run deploy [-- --dry-run]`: checks what protects a first-timer, then deploys both scripts. A dry run needs no account.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { checkVariables } from "../workers/variables.ts";
import { build } from "./lib/build.ts";
import { WORKERS } from "./lib/build-workers.ts";
import { findings, needs, sizes } from "./lib/deploy-checks.ts";
import { deployToCloud } from "./lib/deploy-cloud.ts";
import { ROOT } from "./lib/paths.ts";
import { command, Refusal } from "./lib/refusal.ts";
import { runNode, runTool } from "./lib/tools.ts";

await command(async () => {
  const { values } = parseArgs({ options: { "dry-run": { type: "boolean", default: false } } });
  const needed = needs();
  const built = await build();
  const gzip = sizes(built);
  const wasm = await runNode(`${ROOT}/scripts/build-wasm.mjs`, ["--check", "--no-rebuild"], { quiet: true });
  const found = findings({
    dates: needed.dates,
    gzip,
    wasm: wasm.status === 0 ? null : wasm.output.trim(),
    variables: checkVariables(built.main.options.bindings ?? {}),
    uncommitted: uncommitted(),
    rehearsal: values["dry-run"],
    today: new Date().toISOString().slice(0, 10),
  });
  for (const key of ["models", "main"] as const)
    console.log(`${WORKERS[key].script.padEnd(14)} ${Math.round(gzip[key] / 1024)} KiB compressed`);
  console.log(`queues         ${needed.queues.join(", ")}\nbuckets        ${needed.buckets.join(", ")}`);
  for (const { text } of found.filter(({ level }) => level === "note")) console.log(`note: ${text}`);
  const stops = found.filter(({ level }) => level === "stop");
  if (stops.length > 0) throw new Refusal(stops.map(({ text }) => text).join("\n"));

  if (values["dry-run"]) {
    // In the order of a deployment; the build above has run wrangler's own dry run of each.
    console.log(
      `\nDry run: would deploy ${Object.values(WORKERS)
        .map(({ script }) => script)
        .join(", then ")}. Nothing was sent.`,
    );
    return;
  }
  const url = await deployToCloud({
    wrangler: (args) => runTool("wrangler", args, { quiet: true, env: { NO_COLOR: "1" } }),
    needs: needed,
    adminKey: process.env.SKERRY_ADMIN_KEY,
    accountId: process.env.CLOUDFLARE_ACCOUNT_ID,
    say: (line) => console.log(line),
  });
  console.log(`\ndeployed ${url ?? "(this account has no workers.dev address: add a route or a custom domain in the dashboard)"}`);
  if (url === null) return;
  console.log(`\nNext: see that it answers, mint a token with the admin key, open the console.\n`);
  console.log(`  curl ${url}/healthz`);
  console.log(`  curl -X POST ${url}/v1/tokens -H "Authorization: Bearer $SKERRY_ADMIN_KEY" -H 'Content-Type: application/json' \\`);
  console.log(`    -d '{"grants":[{"capability":"*","name":"*","rights":["read","write"]}],"expiresIn":3600}'`);
  console.log(`  ${url}/\n`);
});

/** The paths that git says have changed; null where there is no git. */
function uncommitted(): string[] | null {
  const { status, stdout } = spawnSync("git", ["status", "--porcelain"], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) return null;
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.slice(3));
}
