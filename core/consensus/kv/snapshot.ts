import { crc32c } from "../../journal/crc32c.ts";
import { newerFormat } from "../../journal/errors.ts";
import { BinaryReader, BinaryWriter } from "./binary.ts";
import { LeaseTable } from "./lease-table.ts";
import { KEY_BYTES, KeyHistory, Mvcc, VERSION_BYTES } from "./mvcc.ts";
import { OrderedIndex } from "./ordered.ts";
import { readOutcome, writeOutcome } from "./outcome-codec.ts";
import { SessionTable } from "./sessions.ts";
import type { ByteString, KeyValue } from "./types.ts";

/** All that is replicated. */
export type State = { mvcc: Mvcc; leases: LeaseTable; sessions: SessionTable };

const VERSION = 1;
const WHAT = "A snapshot of a key-value store";
const CHECKSUM_BYTES = 4;
const FLUSH_BYTES = 256 * 1024;

/**
 * The state as pieces of its snapshot, in order; equal states give equal bytes. SPEC.md describes the format. The state must
 * not change until the last piece is taken.
 */
export function* encodeState({ mvcc, leases, sessions }: State): Generator<Uint8Array<ArrayBuffer>> {
  const writer = new BinaryWriter();
  let checksum = 0;
  const take = () => {
    const bytes = writer.take();
    checksum = crc32c(bytes, checksum);
    return bytes;
  };

  writer.u8(VERSION);
  writer.varint(mvcc.revision);
  writer.integer(mvcc.compactRevision);

  const allLeases = leases.all();
  writer.varint(allLeases.length);
  for (const { id, ttl, renewedAt } of allLeases) {
    writer.int64(id);
    writer.varint(ttl);
    writer.integer(renewedAt);
  }

  writer.varint(sessions.max);
  const allSessions = sessions.all();
  writer.varint(allSessions.length);
  for (const { client, floor, answers } of allSessions) {
    writer.string(client);
    writer.varint(floor);
    writer.varint(answers.length);
    for (const { seq, revision, outcome } of answers) {
      writer.varint(seq);
      writer.varint(revision);
      writeOutcome(writer, outcome);
    }
    if (writer.length >= FLUSH_BYTES) yield take();
  }

  writer.varint(mvcc.keys.size);
  const places = new Map<KeyHistory["key"], number>();
  let previous = "";
  for (const history of mvcc.keys) {
    places.set(history.key, places.size);
    const shared = sharedPrefix(previous, history.key);
    writer.varint(shared);
    writer.varint(history.key.length - shared);
    writer.tail(history.key, shared);
    previous = history.key;
    const first = history.older === null ? history.last : history.older[0]!;
    const base = first.modRevision < mvcc.compactRevision;
    writer.u8(base ? 1 : 0);
    if (base) {
      writer.varint(first.modRevision);
      writeVersion(writer, first);
    }
    if (writer.length >= FLUSH_BYTES) yield take();
  }

  writer.varint(mvcc.log.length);
  let revision = 0;
  for (const kv of mvcc.log) {
    writer.varint(places.get(kv.key)!);
    writer.varint(kv.modRevision - revision);
    revision = kv.modRevision;
    writeVersion(writer, kv);
    if (writer.length >= FLUSH_BYTES) yield take();
  }

  const last = take();
  writer.u32(checksum);
  yield last;
  yield writer.take();
}

/** The state that {@link encodeState} wrote. Throws `corrupt` or `newer_format`. */
export function decodeState(bytes: Uint8Array): State {
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const reader = new BinaryReader(body, WHAT);
  const version = reader.u8();
  if (version > VERSION) throw newerFormat(WHAT, version, VERSION);
  if (new BinaryReader(bytes.subarray(body.length), WHAT).u32() !== crc32c(body)) throw reader.fault("failed its checksum");

  const mvcc = new Mvcc();
  mvcc.revision = reader.varint();
  mvcc.compactRevision = reader.integer();
  const leases = new LeaseTable();
  for (let rest = reader.count(); rest > 0; rest--) leases.load({ id: reader.int64(), ttl: reader.varint(), renewedAt: reader.integer() });
  const sessions = new SessionTable(reader.varint());
  for (let rest = reader.count(); rest > 0; rest--) {
    const [client, floor] = [reader.string(), reader.varint()];
    const answers = Array.from({ length: reader.count() }, () => ({
      seq: reader.varint(),
      revision: reader.varint(),
      outcome: readOutcome(reader),
    }));
    sessions.load(client, floor, answers);
  }
  readKeys(reader, mvcc);
  reader.done();
  for (const { last } of mvcc.keys) {
    if (last.lease === 0n) continue;
    if (!leases.has(last.lease)) throw reader.fault("has a key of an unknown lease");
    leases.move(last.key, 0n, last.lease);
  }
  return { mvcc, leases, sessions };
}

function readKeys(reader: BinaryReader, mvcc: Mvcc): void {
  const keys: ByteString[] = [];
  const histories: (KeyHistory | undefined)[] = [];
  let previous = "";
  for (let rest = reader.count(); rest > 0; rest--) {
    const shared = reader.varint();
    if (shared > previous.length) throw reader.fault("has a malformed key");
    const key = previous.slice(0, shared) + reader.text();
    if (key <= previous) throw reader.fault("has keys out of order");
    keys.push(key);
    mvcc.bytes += KEY_BYTES + key.length;
    const base = reader.choice(2) === 1 ? readVersion(reader, key, reader.varint()) : undefined;
    histories.push(base && new KeyHistory(key, base));
    if (base !== undefined) mvcc.bytes += VERSION_BYTES + base.value.length;
    previous = key;
  }

  let revision = 0;
  for (let rest = reader.count(); rest > 0; rest--) {
    const place = reader.varint();
    const key = keys[place];
    revision += reader.varint();
    if (key === undefined || revision > mvcc.revision) throw reader.fault("has a change out of place");
    const kv = readVersion(reader, key, revision);
    const history = histories[place];
    if (history === undefined) histories[place] = new KeyHistory(key, kv);
    else history.push(kv);
    mvcc.log.push(kv);
    mvcc.bytes += VERSION_BYTES + kv.value.length;
  }
  if (histories.includes(undefined)) throw reader.fault("has a key without versions");
  mvcc.keys = OrderedIndex.fromSorted(histories as KeyHistory[]);
}

/** A version but its key and revision: twice the version number, plus one with a lease; 0 is a tombstone. */
function writeVersion(writer: BinaryWriter, kv: KeyValue): void {
  writer.varint(kv.version * 2 + (kv.lease === 0n ? 0 : 1));
  if (kv.version === 0) return;
  writer.varint(kv.modRevision - kv.createRevision);
  if (kv.lease !== 0n) writer.int64(kv.lease);
  writer.text(kv.value);
}

function readVersion(reader: BinaryReader, key: ByteString, modRevision: number): KeyValue {
  const head = reader.varint();
  const version = Math.floor(head / 2);
  if (version === 0) return { key, createRevision: 0, modRevision, version, value: "", lease: 0n };
  const createRevision = modRevision - reader.varint();
  const lease = head % 2 === 1 ? reader.int64() : 0n;
  return { key, createRevision, modRevision, version, value: reader.text(), lease };
}

function sharedPrefix(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let at = 0;
  while (at < limit && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
