import { spanOf } from "./mvcc.ts";
import type { ByteString, RequestOp } from "./types.ts";

/** `end` null: no end. `source`: the nested transaction that deletes it; -1 the list's own operations. */
type Deleted = { start: ByteString; end: ByteString | null; source: number };
type Touched = { puts: Set<ByteString>; deleted: Deleted[] };
/** From `start` to the next segment's, deleted by `source`; `MANY` by more than one, `NONE` by none. */
type Segment = { start: ByteString; source: number };

const OWN = -1;
const MANY = -2;
const NONE = -3;

/**
 * Whether operations that may happen together write a key twice: two puts, or a put and a deletion, in any order and
 * nesting (the branches of one nested transaction exclude each other). Deletions may overlap: the later one finds nothing.
 */
export function overlaps(ops: RequestOp[]): boolean {
  const [first] = ops;
  if (first === undefined || (ops.length === 1 && first.op !== "txn")) return false;
  return touched(ops) === null;
}

/** What the operations put and delete; null where they overlap. */
function touched(ops: RequestOp[]): Touched | null {
  const children: Touched[] = [];
  const deleted: Deleted[] = [];
  const puts = new Set<ByteString>();
  for (const each of ops) {
    if (each.op === "put") {
      if (puts.has(each.request.key)) return null;
      puts.add(each.request.key);
    } else if (each.op === "deleteRange") {
      const { key, rangeEnd } = each.request;
      deleted.push({ ...(spanOf(key, rangeEnd) ?? { start: key, end: `${key}\0` }), source: OWN });
    } else if (each.op === "txn") {
      const then = touched(each.request.success);
      const otherwise = touched(each.request.failure);
      if (then === null || otherwise === null) return null;
      const child = { puts: then.puts, deleted: then.deleted.concat(otherwise.deleted) };
      for (const key of otherwise.puts) child.puts.add(key);
      for (const span of child.deleted) deleted.push({ start: span.start, end: span.end, source: children.length });
      children.push(child);
    }
  }

  const segments = deleted.length === 0 ? [] : cover(deleted);
  for (const key of puts) if (sourceAt(segments, key) !== NONE) return null;
  for (const [source, child] of children.entries()) {
    for (const key of child.puts) {
      const by = sourceAt(segments, key);
      if (puts.has(key) || (by !== NONE && by !== source)) return null;
      puts.add(key);
    }
  }
  return { puts, deleted };
}

/** The deletions as segments in order, from the first key that one of them names. */
function cover(deleted: Deleted[]): Segment[] {
  const edges: { at: ByteString; source: number; by: 1 | -1 }[] = [];
  for (const { start, end, source } of deleted) {
    if (end !== null && end <= start) continue;
    edges.push({ at: start, source, by: 1 });
    if (end !== null) edges.push({ at: end, source, by: -1 });
  }
  edges.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const open = new Map<number, number>();
  const segments: Segment[] = [];
  for (const [i, { at, source, by }] of edges.entries()) {
    const count = (open.get(source) ?? 0) + by;
    if (count === 0) open.delete(source);
    else open.set(source, count);
    if (edges[i + 1]?.at === at) continue;
    const [first = NONE] = open.keys();
    segments.push({ start: at, source: open.size > 1 ? MANY : first });
  }
  return segments;
}

function sourceAt(segments: Segment[], key: ByteString): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segments[middle]!.start <= key) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? NONE : segments[low - 1]!.source;
}
