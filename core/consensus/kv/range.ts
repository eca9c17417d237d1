import type { Mvcc } from "./mvcc.ts";
import { refusal } from "./refusals.ts";
import type { KeyValue, RangeRequest, RangeResponse } from "./types.ts";

/**
 * Answers a range request where `current` is the newest revision to be seen: the store's, or within a transaction the one that
 * it is making. Throws KvError `futureRevision` or `compacted`.
 */
export function answerRange(mvcc: Mvcc, request: RangeRequest, current: number): RangeResponse {
  if (request.revision > current) throw refusal("futureRevision");
  const revision = request.revision <= 0 ? current : request.revision;
  if (revision < mvcc.compactRevision) throw refusal("compacted");

  // As in etcd, a limit without an order takes the first keys even where a target other than the key then sorts them.
  const early = request.limit > 0 && request.sortOrder === "none" && !isFiltered(request) ? request.limit + 1 : Number.POSITIVE_INFINITY;
  const take = request.countOnly ? 0 : early;
  const present = revision === current;
  let count = 0;
  let kvs: KeyValue[] = [];
  if (take > 0 || !present) {
    mvcc.scan(request.key, request.rangeEnd, revision, (kv) => {
      if (count++ < take) kvs.push(kv);
      return count < take || !present;
    });
  }
  // Of the present the index knows the count; of the past every key is looked at.
  if (present && count >= take) count = mvcc.count(request.key, request.rangeEnd);

  if (isFiltered(request)) kvs = kvs.filter((kv) => passes(kv, request));
  sort(kvs, request);
  const more = request.limit > 0 && kvs.length > request.limit;
  if (more) kvs.length = request.limit;
  if (request.keysOnly) kvs = kvs.map((kv) => ({ ...kv, value: "" }));
  return { header: { revision: current }, kvs, more, count };
}

function isFiltered(request: RangeRequest): boolean {
  return request.minModRevision !== 0 || request.maxModRevision !== 0 || request.minCreateRevision !== 0 || request.maxCreateRevision !== 0;
}

function passes(kv: KeyValue, request: RangeRequest): boolean {
  return (
    (request.maxModRevision === 0 || kv.modRevision <= request.maxModRevision) &&
    (request.minModRevision === 0 || kv.modRevision >= request.minModRevision) &&
    (request.maxCreateRevision === 0 || kv.createRevision <= request.maxCreateRevision) &&
    (request.minCreateRevision === 0 || kv.createRevision >= request.minCreateRevision)
  );
}

/** Without an order, a target other than the key sorts upwards. What is equal stays in the order of keys, both ways. */
function sort(kvs: KeyValue[], { sortOrder, sortTarget }: RangeRequest): void {
  const down = sortOrder === "descend";
  if (sortTarget === "key") {
    if (down) kvs.reverse();
    return;
  }
  const upwards = COMPARATORS[sortTarget];
  kvs.sort(down ? (a, b) => upwards(b, a) : upwards);
}

const COMPARATORS = {
  version: (a: KeyValue, b: KeyValue) => a.version - b.version,
  create: (a: KeyValue, b: KeyValue) => a.createRevision - b.createRevision,
  mod: (a: KeyValue, b: KeyValue) => a.modRevision - b.modRevision,
  value: (a: KeyValue, b: KeyValue) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0),
};
