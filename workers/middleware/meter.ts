import type { Context } from "hono";
import { type Amounts, accumulate, hourOf, type UsageBucket } from "../../core/usage/usage.ts";
import type { Capability, Scope } from "../../core/wire/names.ts";
import type { AppEnv } from "../env.ts";
import { projectStub } from "./keyring.ts";

/**
 * The account: counted in the isolate, written to the project at most once a second. An isolate that dies loses up to
 * a second of *metering*, never of data. Pending amounts are of this isolate, all its requests together.
 */
const FLUSH_MS = 1_000;

type Account = { scope: Scope; pending: Map<string, UsageBucket>; flushedAt: number; flushing: boolean };
const accounts = new Map<string, Account>();

/** Counts what a route knows and the middleware cannot see: rows of calls it made itself, bytes of streams. */
export function meter(c: Context<AppEnv>, amounts: Partial<Omit<Amounts, "requests">>): void {
  const used = c.get("used");
  used.rows += amounts.rows ?? 0;
  used.bytesIn += amounts.bytesIn ?? 0;
  used.bytesOut += amounts.bytesOut ?? 0;
}

/** Counts work that no request asked for: queue consumers, alarms of the Worker. `requests` are the calls of objects. */
export function meterBackground(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  scope: Scope,
  capability: Capability,
  amounts: Partial<Amounts>,
): void {
  const account = accountOf(scope);
  accumulate(account.pending, hourOf(Date.now()), capability, amounts);
  if (account.flushing) return;
  account.flushing = true;
  ctx.waitUntil(flushSoon(env, account));
}

async function flushSoon(env: Env, account: Account): Promise<void> {
  try {
    const wait = account.flushedAt + FLUSH_MS - Date.now();
    if (wait > 0) await scheduler.wait(wait);
  } finally {
    // Whatever happens, the next request may try again.
    account.flushing = false;
    account.flushedAt = Date.now();
  }
  const buckets = [...account.pending.values()];
  account.pending.clear();
  if (buckets.length === 0) return;
  try {
    await projectStub(env, account.scope).addUsage(buckets);
  } catch {
    // Not counted twice where the call did arrive, but kept where it surely did not would need an id; a lost
    // second of metering is within what the account promises.
    console.warn(
      JSON.stringify({ level: "warn", message: "usage was not recorded", project: account.scope.project, buckets: buckets.length }),
    );
  }
}

function accountOf(scope: Scope): Account {
  const key = `${scope.project}/${scope.jurisdiction}`;
  let account = accounts.get(key);
  if (account === undefined) {
    account = { scope, pending: new Map(), flushedAt: 0, flushing: false };
    // Accounts without anything pending can go; a project that has something will be written within a second.
    if (accounts.size >= 1_024) for (const [name, { pending }] of accounts) if (pending.size === 0) accounts.delete(name);
    accounts.set(key, account);
  }
  return account;
}
