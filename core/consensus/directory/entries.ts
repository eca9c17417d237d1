import type { Recency } from "../../wire/directory.ts";
import type { EntryKind, EntryRecord, EntryStore, Told } from "../../wire/entries.ts";
import { SkerryError } from "../../wire/errors.ts";
import { type ByteString, KvError, type PutRequest, type RangeRequest, type Session, type TxnRequest } from "../kv/types.ts";
import type { Ask, ReadLevel, Told as Value } from "../replica/types.ts";
import { errorOfKv } from "../socket/errors.ts";

/** Asks the group that holds the entries. Throws `KvError` for what it refuses, and `SkerryError` (`no_quorum`, retryable). */
export type AskGroup = (ask: Ask) => Promise<Told & { value: Value }>;

/** Names a list reads at once; deleted ones among them are left out. */
const PAGE = 1_000;
/** How old a bounded answer may be, in milliseconds. */
export const BOUND_MS = 1_000;
/** Written once what an older version kept elsewhere is here. */
const BROUGHT = "directory/brought";

const READ: Record<Recency, ReadLevel> = {
  linearizable: { level: "linearizable" },
  bounded: { level: "bounded", ms: BOUND_MS },
  stale: { level: "stale" },
};

/**
 * The directory's entries as keys of a group: `directory/{kind}/{name}` in UTF-8, so that they come in the order of names, each with
 * the JSON of its record. A key is put once for each version of its entry and never deleted, so the key's own version is the
 * entry's, and one transaction that compares and puts several is all it takes to change them together.
 */
export class GroupEntries implements EntryStore {
  readonly #ask: AskGroup;
  readonly #session: () => Session;

  /**
   * @param session of one write, never used before: whoever asks repeats a write whose outcome is unknown, and with a session it
   * happens once.
   */
  constructor(ask: AskGroup, session: () => Session) {
    this.#ask = async (what) => {
      try {
        return await ask(what);
      } catch (thrown) {
        throw thrown instanceof KvError ? errorOfKv(thrown) : thrown;
      }
    };
    this.#session = session;
  }

  async get(kind: EntryKind, name: string, recency: Recency = "linearizable"): Promise<Told & { value: EntryRecord | null }> {
    const { kvs, told } = await this.#range(keyOf(kind, name), "", 1, recency);
    const [found] = kvs;
    return { ...told, value: found === undefined ? null : recordOf(found) };
  }

  put(entries: readonly EntryRecord[], standing: readonly EntryRecord[] = []): Promise<Told & { value: boolean }> {
    return this.#transact({
      compare: [
        ...entries.map(({ kind, name, version }) => versionIs(keyOf(kind, name), version - 1)),
        ...standing.map(({ kind, name, version }) => versionIs(keyOf(kind, name), version)),
      ],
      success: entries.map((each) => ({ op: "put", request: putOf(keyOf(each.kind, each.name), JSON.stringify(each)) })),
      failure: [],
    });
  }

  async list(kind: EntryKind, after: string | null, limit: number): Promise<Told & { value: EntryRecord[] }> {
    const prefix = `directory/${kind}/`;
    const end = `directory/${kind}0`;
    const found: EntryRecord[] = [];
    let from = after === null ? prefix : `${keyOf(kind, after)}\0`;
    let rows = 0;
    for (;;) {
      const { kvs, more, told } = await this.#range(from, end, PAGE, "linearizable");
      rows += told.rows;
      for (const kv of kvs) {
        const record = recordOf(kv);
        if (record.deletedAt === null) found.push(record);
      }
      const last = kvs.at(-1);
      if (found.length >= limit || !more || last === undefined) return { ...told, rows, value: found.slice(0, limit) };
      from = `${last.key}\0`;
    }
  }

  /** Whether {@link bring} was carried to its end. It stays so, so that any replica that says yes is right. */
  async brought(recency: Recency): Promise<boolean> {
    const { kvs } = await this.#range(BROUGHT, "", 1, recency);
    return kvs.length > 0;
  }

  /**
   * Takes over what was kept elsewhere before, deleted entries too, with the versions they have. Several callers may do so at
   * once, and one that was cut off is completed by the next: each step is taken by whoever finds the step before.
   */
  async bring(entries: readonly EntryRecord[]): Promise<void> {
    for (const entry of entries) {
      const key = keyOf(entry.kind, entry.name);
      const put = putOf(key, JSON.stringify(entry));
      for (let version = 0; version < entry.version; version++)
        await this.#transact({ compare: [versionIs(key, version)], success: [{ op: "put", request: put }], failure: [] });
    }
    await this.#transact({
      compare: [versionIs(BROUGHT, 0)],
      success: [{ op: "put", request: putOf(BROUGHT, String(entries.length)) }],
      failure: [],
    });
  }

  async #transact(request: TxnRequest): Promise<Told & { value: boolean }> {
    const answered = await this.#ask({ ask: "write", operation: { op: "txn", request }, session: this.#session() });
    if (answered.value.told !== "write" || answered.value.result.op !== "txn") throw unexpected();
    return { ...answered, value: answered.value.result.response.succeeded };
  }

  async #range(key: ByteString, rangeEnd: ByteString, limit: number, recency: Recency) {
    const bounds = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
    const plain = { revision: 0, sortOrder: "none", sortTarget: "key", serializable: false, keysOnly: false, countOnly: false } as const;
    const request: RangeRequest = { key, rangeEnd, limit, ...plain, ...bounds };
    const told = await this.#ask({ ask: "range", request, read: READ[recency], after: 0 });
    if (told.value.told !== "range") throw unexpected();
    const { kvs, more } = told.value.response;
    return { kvs, more, told };
  }
}

function keyOf(kind: EntryKind, name: string): ByteString {
  return `directory/${kind}/${utf8(name)}`;
}

function versionIs(key: ByteString, value: number): TxnRequest["compare"][number] {
  return { result: "equal", key, rangeEnd: "", target: "version", value };
}

function putOf(key: ByteString, text: string): PutRequest {
  return { key, value: utf8(text), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
}

function recordOf({ value }: { value: ByteString }): EntryRecord {
  return JSON.parse(new TextDecoder("utf-8").decode(Uint8Array.from(value, (byte) => byte.charCodeAt(0)))) as EntryRecord;
}

function utf8(text: string): ByteString {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

function unexpected(): SkerryError {
  return new SkerryError("internal", "The group of the directory answered another question.");
}
