import type { KvOptions } from "../kv/store.ts";
import type { Format } from "./format.ts";
import type { StorageOptions } from "./storage.ts";
import type { Placement } from "./types.ts";

/** Milliseconds unless it says otherwise. */
export type ReplicaTiming = {
  /** A tick of Raft, while there is anything to do. */
  tick: number;
  heartbeatTicks: number;
  /** A campaign that is not answered begins anew after once to twice so many ticks. */
  electionTicks: number;
  /** Whoever heard a leader within so long gives no vote: one confused caller must not disturb a group at work. */
  lease: number;
  /** A call of a peer that takes longer counts as lost. */
  call: number;
  /** A peer that failed is called again after `backoff`, doubled by each further failure up to `maxBackoff`. */
  backoff: number;
  maxBackoff: number;
  /** What is asked is answered within this, if only with `unavailable`. */
  ask: number;
  /** News of a commit alone waits so long for something to travel with, unless the peer has watchers. */
  linger: number;
  /** A read round that takes longer, two usual round trips aside, is begun again with rows written (SPEC, fences). */
  fence: number;
  /** A round of writes that takes longer than this is joined by the next one. */
  pipeline: number;
  /** For `recover` after the last request a leader tries to reach followers that do not answer, every `knock`. */
  knock: number;
  recover: number;
  /** A leader that hears from no quorum for so long goes to sleep until it is asked again. */
  dormant: number;
};

export const TIMING: ReplicaTiming = {
  tick: 50,
  heartbeatTicks: 2,
  electionTicks: 6,
  lease: 300,
  call: 1_000,
  backoff: 50,
  maxBackoff: 1_000,
  ask: 2_000,
  linger: 100,
  fence: 60,
  pipeline: 10,
  knock: 200,
  recover: 5_000,
  dormant: 30_000,
};

export type ReplicaLimits = {
  /** Requests that wait at a time. */
  asks: number;
  /** Bytes of writes that wait or are under way. */
  writeBytes: number;
  /** Bytes of commands in one entry, and of entries in one message. */
  entryBytes: number;
  /** Calls of one peer at a time. */
  calls: number;
  /** Bytes of a snapshot in one call. */
  chunkBytes: number;
  /** Revisions that stay readable when a group whose quota is half used compacts by itself. */
  retainRevisions: number;
};

export const LIMITS: ReplicaLimits = {
  asks: 8_192,
  writeBytes: 16 * 2 ** 20,
  entryBytes: 2 ** 20,
  calls: 4,
  chunkBytes: 1_000_000,
  retainRevisions: 1_000,
};

export type ReplicaOptions = {
  id: number;
  /** An integer from 0 to below `below`. */
  random: (below: number) => number;
  placement: Placement;
  /** `always`: no read round without rows, so that any number of superseded instances at once do no harm (SPEC, reads). */
  fences?: "needed" | "always";
  timing?: Partial<ReplicaTiming>;
  limits?: Partial<ReplicaLimits>;
  kv?: Partial<KvOptions>;
  storage?: Partial<StorageOptions>;
  /** Another version of this code; for tests. */
  format?: Format;
};
