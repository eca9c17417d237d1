import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkAdminKey } from "../../core/auth/admin-key.ts";
import { WORKERS } from "./build-workers.ts";
import type { Needs } from "./deploy-checks.ts";
import { Refusal } from "./refusal.ts";

/** Runs wrangler against the account; a port, so that tests stand in for the account. */
export type Wrangler = (args: string[]) => Promise<{ status: number; output: string }>;

export type CloudOptions = {
  wrangler: Wrangler;
  needs: Needs;
  /** The admin key to set, if one is given. */
  adminKey: string | undefined;
  /** The account to deploy to, if one is named. */
  accountId: string | undefined;
  say(line: string): void;
};

const SECRET = "SKERRY_ADMIN_KEY";
const SET_KEY = `export ${SECRET}="$(openssl rand -base64 32)"; echo "$${SECRET}"    # keep it
  npm run deploy`;

/**
 * Deploys both scripts, after everything they need is there. `skerry-models` goes first: `skerry` binds it as a service.
 *
 * @returns the address of the deployment, if wrangler named one.
 * @throws Refusal with what to do, before the first change to the account wherever that is possible.
 */
export async function deployToCloud(options: CloudOptions): Promise<string | null> {
  const { wrangler, needs, adminKey, say } = options;
  await signedIn(options);
  const secrets = await secretToSet(options);
  for (const queue of needs.queues) await ensure(wrangler, say, `queue ${queue}`, ["queues", "info", queue], ["queues", "create", queue]);
  for (const bucket of needs.buckets) {
    await ensure(wrangler, say, `bucket ${bucket}`, ["r2", "bucket", "info", bucket], ["r2", "bucket", "create", bucket]);
  }
  await upload(wrangler, say, WORKERS.models, []);
  if (!secrets) return upload(wrangler, say, WORKERS.main, []);
  const dir = mkdtempSync(join(tmpdir(), "skerry-deploy-"));
  try {
    const file = join(dir, "secrets.json");
    writeFileSync(file, JSON.stringify({ [SECRET]: adminKey }), { mode: 0o600 });
    chmodSync(file, 0o600);
    return await upload(wrangler, say, WORKERS.main, ["--secrets-file", file]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function signedIn({ wrangler, accountId, say }: CloudOptions): Promise<void> {
  const who = parse<{ loggedIn?: boolean; accounts?: { id: string; name: string }[] }>((await wrangler(["whoami", "--json"])).output);
  if (who?.loggedIn !== true) {
    throw new Refusal("You are not signed in to Cloudflare. Run npx wrangler login, or set CLOUDFLARE_API_TOKEN, and deploy again.");
  }
  const accounts = who.accounts ?? [];
  if (accountId === undefined && accounts.length > 1) {
    const list = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
    throw new Refusal(`You are a member of several accounts. Set CLOUDFLARE_ACCOUNT_ID to the one to deploy to:\n${list}`);
  }
  const account = accounts.find(({ id }) => accountId === undefined || id === accountId);
  say(`account   ${account?.name ?? accountId ?? "as the API token says"}`);
}

/** Whether the admin key must be uploaded with the script; refuses when there would be none, or a bad one. */
async function secretToSet({ wrangler, adminKey, say }: CloudOptions): Promise<boolean> {
  if (adminKey !== undefined) {
    const fault = checkAdminKey(adminKey);
    if (fault !== null) throw new Refusal(fault);
    say("admin key as SKERRY_ADMIN_KEY gives it");
    return true;
  }
  const { status, output } = await wrangler(["secret", "list", "--format", "json", "-c", WORKERS.main.config]);
  const names = status === 0 ? (parse<{ name: string }[]>(output) ?? []).map(({ name }) => name) : [];
  if (!names.includes(SECRET)) {
    throw new Refusal(
      `The deployment has no admin key yet, and without one it would serve nothing. Mint one and deploy with it:\n\n  ${SET_KEY}`,
    );
  }
  say("admin key set before, kept");
  return false;
}

async function ensure(wrangler: Wrangler, say: (line: string) => void, what: string, ask: string[], create: string[]): Promise<void> {
  if ((await wrangler(ask)).status === 0) return say(`${what} is there`);
  const { status, output } = await wrangler(create);
  if (status !== 0) throw new Refusal(`The ${what} could not be created (npx wrangler ${create.join(" ")}):\n${output.trim()}`);
  say(`${what} created`);
}

async function upload(
  wrangler: Wrangler,
  say: (line: string) => void,
  { script, config }: { script: string; config: string },
  extra: string[],
): Promise<string | null> {
  const { status, output } = await wrangler(["deploy", "-c", config, ...extra]);
  if (status !== 0)
    throw new Refusal(`${script} was not deployed. What was deployed before goes on serving. wrangler said:\n${output.trim()}`);
  say(`${script} deployed`);
  return /https:\/\/\S+\.workers\.dev/.exec(output)?.[0] ?? null;
}

/** wrangler may print a banner before its JSON. */
function parse<T>(output: string): T | null {
  const begin = output.search(/[[{]/);
  try {
    return begin < 0 ? null : (JSON.parse(output.slice(begin)) as T);
  } catch {
    return null;
  }
}
