import type { RangeRequest } from "../../../core/consensus/kv/types.ts";
import type { ReadLevel } from "../../../core/consensus/replica/types.ts";
import type { CallOptions } from "../http.ts";
import { rangeOf, type Span } from "./values.ts";

/** What every request of a group takes last. */
export type GroupCallOptions = CallOptions & {
  /** Milliseconds for all attempts together; 15,000 unless given. */
  timeout?: number;
};

export type WriteOptions = GroupCallOptions & {
  /** `quorum`: refuse (`not_a_quorum_placement`) where the loss of one failure domain could lose a majority. */
  demand?: "quorum";
};

/**
 * What a read may trail. `linearizable` (unless given): nothing. `session`: it shows what this client has seen of the group.
 * `{ bounded: ms }`: all that was committed so long ago. `stale`: whatever the nearest replica has.
 */
export type Level = "linearizable" | "session" | "stale" | { bounded: number };

export type ReadOptions = GroupCallOptions & {
  level?: Level;
  /** As the store was then; `revision_compacted` where that is forgotten. */
  revision?: number;
};

export type RangeOptions = {
  /** Entries, at most. */
  limit?: number;
  sort?: { by: "key" | "version" | "createRevision" | "modRevision" | "value"; order?: "ascending" | "descending" };
  keysOnly?: boolean;
  countOnly?: boolean;
  revision?: number;
};

const SORTS = { key: "key", version: "version", createRevision: "create", modRevision: "mod", value: "value" } as const;

export function readRange(span: Span, options: RangeOptions): RangeRequest {
  const { limit = 0, sort, keysOnly = false, countOnly = false, revision = 0 } = options;
  return {
    ...rangeOf(span),
    ...{ limit, revision, keysOnly, countOnly, serializable: false },
    sortOrder: sort === undefined ? "none" : sort.order === "descending" ? "descend" : "ascend",
    sortTarget: sort === undefined ? "key" : SORTS[sort.by],
    ...{ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 },
  };
}

export function readLevel(level: Level = "linearizable"): ReadLevel {
  return typeof level === "object" ? { level: "bounded", ms: level.bounded } : { level };
}
