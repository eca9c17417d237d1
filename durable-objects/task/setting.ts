import { KvError, type RangeRequest } from "../../core/consensus/kv/types.ts";
import type { ReadLevel } from "../../core/consensus/replica/types.ts";
import { errorOfKv } from "../../core/consensus/socket/errors.ts";
import type { Setting } from "../../core/streams/topology.ts";
import { type ErrorCode, errorOf } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { groupMeta, refreshGroup } from "../directory/lookup.ts";
import { askReplicas } from "../group/ask.ts";

/** How long this isolate goes by what it read, and how old that may have been, in milliseconds. A change is heard of within both. */
const TTL_MS = 2_000;
const BOUND_MS = 1_000;
const MAX_CACHED = 1_024;
/** A group that says nothing for so long, in milliseconds, is not waited for by who knows a value already; longer by who does not. */
const PATIENCE_MS = 500;
const FIRST_PATIENCE_MS = 2_000;
/** Nobody types so much; what is longer is as if it were not there. */
const MAX_BYTES = 16_384;
const SILENT: ReadonlySet<ErrorCode> = new Set(["no_quorum", "unavailable", "overloaded"]);

const cache = new Map<string, { text: string | null; readAt: number }>();

/**
 * What a setting is now, as text; null: nobody has made one, or there is no such group. While the group says nothing, what was known
 * last; throws `no_quorum` where nothing was.
 */
export async function settingText(env: Env, scope: Scope, { group, key }: Pick<Setting, "group" | "key">): Promise<string | null> {
  const name = `${scope.project}/${scope.jurisdiction}/${group}/${key}`;
  const known = cache.get(name);
  if (known !== undefined && Date.now() - known.readAt < TTL_MS) return known.text;
  let readAt = Date.now();
  let text: string | null;
  try {
    text = await read(env, scope, group, key, known !== undefined);
  } catch (thrown) {
    if (known === undefined || !SILENT.has(errorOf(thrown).code)) throw thrown;
    text = known.text;
    readAt = Date.now();
  }
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(name, { text, readAt });
  return text;
}

async function read(env: Env, scope: Scope, group: string, key: string, isKnown: boolean): Promise<string | null> {
  const meta = await groupMeta(env, scope, group);
  if (meta === null) return null;
  const bounds = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
  const plain = { revision: 0, sortOrder: "none", sortTarget: "key", serializable: false, keysOnly: false, countOnly: false } as const;
  const request: RangeRequest = { key: bytesOf(key), rangeEnd: "", limit: 1, ...plain, ...bounds };
  const ask = async (level: ReadLevel) => {
    const what = { ask: "range", request, read: level, after: 0 } as const;
    const patience = isKnown ? PATIENCE_MS : FIRST_PATIENCE_MS;
    const { value } = await askReplicas(env, scope, meta, what, () => refreshGroup(env, scope, group), patience);
    const found = value.told === "range" ? value.response.kvs[0]?.value : undefined;
    return found === undefined || found.length > MAX_BYTES ? null : textOf(found);
  };
  try {
    return await ask({ level: "bounded", ms: BOUND_MS }).catch((thrown) => {
      if (isKnown || !SILENT.has(errorOf(thrown).code)) throw thrown;
      // Whatever a replica knows is better than to wait for a majority: what was gone by is journalled.
      return ask({ level: "stale" });
    });
  } catch (thrown) {
    throw thrown instanceof KvError ? errorOfKv(thrown) : thrown;
  }
}

function bytesOf(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

function textOf(bytes: string): string {
  return new TextDecoder().decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)));
}
