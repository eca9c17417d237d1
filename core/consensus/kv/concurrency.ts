import type {
  ByteString,
  Header,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResponse,
  WatchCreate,
  WatchEvent,
} from "./types.ts";

/**
 * What a procedure wants done next. The driver answers `write` with an OperationResult, `read` (linearizable) with a
 * RangeResponse, `watch` with the next events of that watch, at least one (the step is repeated for more: `resume` is then true), or
 * with null when the watch was cancelled because its revision was compacted. `emit` gives a value to the caller of the procedure.
 */
export type Step<T = never> =
  | { step: "write"; operation: Operation }
  | { step: "read"; request: RangeRequest }
  | { step: "watch"; create: WatchCreate; resume: boolean }
  | { step: "emit"; value: T };
export type StepAnswer = OperationResult | RangeResponse | { events: WatchEvent[]; revision: number } | null;
/**
 * Drive it with `next(answer)`; a step that failed with `throw(error)`, and so a caller that went away: the procedure may then
 * have steps of its own to clean up, and throws the error at the end.
 */
export type Procedure<R, T = never> = Generator<Step<T>, R, StepAnswer>;

export type Locked = { header: Header; key: ByteString; fence: number };
export type LeaderKey = { name: ByteString; key: ByteString; rev: number; lease: bigint };
export type Campaigned = { header: Header; leader: LeaderKey };
export type Leader = { header: Header; kv: KeyValue };

/** `lease` must exist: the caller grants one of 60 s where the request has none. */
export declare function lock(name: ByteString, lease: bigint): Procedure<Locked>;
export declare function unlock(key: ByteString): Procedure<{ header: Header }>;
export declare function campaign(name: ByteString, lease: bigint, value: ByteString): Procedure<Campaigned>;
export declare function proclaim(leader: LeaderKey, value: ByteString): Procedure<{ header: Header }>;
export declare function resign(leader: LeaderKey): Procedure<{ header: Header }>;
export declare function leader(name: ByteString): Procedure<Leader>;
/** Never returns; emits every leader and what it proclaims. */
export declare function observe(name: ByteString): Procedure<never, Leader>;
