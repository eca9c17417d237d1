import { Reader, Writer } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { corrupt } from "./errors.ts";
import type { JournalStorage } from "./port.ts";
import { readTotals, type Totals, writeTotals } from "./rows.ts";

/** A stored checkpoint without its bytes. `before` are the totals of the log at `position`. */
export type CheckpointHeader = { position: number; before: Totals; chunks: number; length: number };

/** No header of a checkpoint's first chunk is longer. */
const HEADER_BYTES = 80;
const WHAT = "The journal's checkpoint";
const chunkKey = (index: number) => `checkpoint/${index}`;

/** Writes a checkpoint over the previous one, whose surplus chunks go. The caller holds the transaction. */
export function writeCheckpoint(
  storage: JournalStorage,
  at: { position: number; before: Totals },
  bytes: Uint8Array,
  previous: CheckpointHeader | null,
  maxRowBytes: number,
): CheckpointHeader {
  const room = maxRowBytes - HEADER_BYTES;
  const chunks = 1 + Math.ceil(Math.max(0, bytes.length - room) / maxRowBytes);
  const header: CheckpointHeader = { ...at, chunks, length: bytes.length };
  const first = new Writer(HEADER_BYTES + Math.min(bytes.length, room));
  first.at = 4;
  first.varint(header.position);
  writeTotals(first, header.before);
  first.varint(header.chunks);
  first.varint(header.length);
  first.u32(crc32c(bytes));
  const end = first.at;
  first.at = 0;
  first.u32(crc32c(first.bytes.subarray(4, end)));
  first.at = end;
  first.raw(bytes.subarray(0, room));
  storage.putBlob(chunkKey(0), first.done());
  for (let i = 1; i < chunks; i++) storage.putBlob(chunkKey(i), bytes.subarray(room + (i - 1) * maxRowBytes, room + i * maxRowBytes));
  for (let i = chunks; i < (previous?.chunks ?? 0); i++) storage.deleteBlob(chunkKey(i));
  return header;
}

/** The header of the stored checkpoint, verified, or null where there is none. */
export function readCheckpointHeader(storage: JournalStorage): CheckpointHeader | null {
  const chunk = storage.getBlob(chunkKey(0));
  return chunk === null ? null : openChunk(chunk).header;
}

/** The stored checkpoint with its bytes, all verified, or null where there is none. */
export function readCheckpoint(storage: JournalStorage): { header: CheckpointHeader; bytes: Uint8Array } | null {
  const chunk = storage.getBlob(chunkKey(0));
  if (chunk === null) return null;
  const { header, checksum, data } = openChunk(chunk);
  let bytes = data;
  if (header.chunks > 1) {
    bytes = new Uint8Array(header.length);
    let at = 0;
    for (let i = 0; i < header.chunks; i++) {
      const part = i === 0 ? data : storage.getBlob(chunkKey(i));
      if (part === null) throw corrupt(`${WHAT} lacks chunk ${i}.`, { position: header.position });
      if (at + part.length > bytes.length) throw corrupt(`${WHAT} is longer than it says.`, { position: header.position });
      bytes.set(part, at);
      at += part.length;
    }
    if (at !== bytes.length) throw corrupt(`${WHAT} is shorter than it says.`, { position: header.position });
  }
  if (bytes.length !== header.length || crc32c(bytes) !== checksum) {
    throw corrupt(`${WHAT} at ${header.position} failed its checksum.`, { position: header.position });
  }
  return { header, bytes };
}

function openChunk(chunk: Uint8Array): { header: CheckpointHeader; checksum: number; data: Uint8Array } {
  const reader = new Reader(chunk, WHAT);
  const sealed = reader.u32();
  const header = { position: reader.varint(), before: readTotals(reader), chunks: reader.varint(), length: reader.varint() };
  const checksum = reader.u32();
  if (sealed !== crc32c(chunk.subarray(4, reader.at))) throw corrupt(`${WHAT} has a head that failed its checksum.`);
  return { header, checksum, data: reader.rest() };
}

/** Sizes in bytes, but for `rowsSince`. */
export type CheckpointCost = { bytesSince: number; rowsSince: number; checkpointBytes: number };
export type CheckpointPolicy = {
  /** What one row weighs against bytes: reading or writing a row costs as much as this many bytes within one. */
  rowBytes: number;
  /** Never checkpoint while the replay costs less than this, however small the state is. */
  minBytes: number;
  /** How many times the cost of the checkpoint the replay may reach. Larger: fewer rows written, slower wakes. */
  ratio: number;
  /** The row limit that the journal runs with. */
  maxRowBytes: number;
};
export const CHECKPOINT_POLICY: CheckpointPolicy = { rowBytes: 16_384, minBytes: 1_048_576, ratio: 1, maxRowBytes: 1_500_000 };

/**
 * Whether a checkpoint is due: once replaying the log since the last one costs as much as writing a new one. So a
 * wake never replays more than max(`minBytes`, `ratio` × state), and checkpoints never write more than 1/`ratio` of
 * what the log itself wrote.
 *
 * @example if (shouldCheckpoint({ bytesSince: cost.bytes, rowsSince: cost.rows, checkpointBytes: state.byteLength })) …
 */
export function shouldCheckpoint(cost: CheckpointCost, policy: Partial<CheckpointPolicy> = {}): boolean {
  const { rowBytes, minBytes, ratio, maxRowBytes } = { ...CHECKPOINT_POLICY, ...policy };
  const replay = cost.bytesSince + cost.rowsSince * rowBytes;
  const chunks = Math.max(1, Math.ceil(cost.checkpointBytes / maxRowBytes));
  const write = cost.checkpointBytes + chunks * rowBytes;
  return cost.rowsSince > 0 && replay >= Math.max(minBytes, ratio * write);
}
