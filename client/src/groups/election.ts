import {
  campaign as campaignSteps,
  leader as leaderSteps,
  observe as observeSteps,
  proclaim,
  resign,
} from "../../../core/consensus/kv/concurrency.ts";
import type { KeyValue } from "../../../core/consensus/kv/types.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import type { Group } from "./group.ts";
import { holding, type LockOptions } from "./lock.ts";
import { within } from "./time.ts";
import type { Condition } from "./txn.ts";
import { type Bytes, byteString, Entry, textOf } from "./values.ts";

/** As of a lock: `ttl` is how long a leader that is not heard stays in office, `wait` how long to stand for election. */
export type ElectionOptions = LockOptions;

/** Who leads: `entry` holds what was proclaimed last, `fence` grows from leader to leader. */
export type Leading = { key: string; entry: Entry; fence: number };

/** An election that was won. */
export type Leadership = {
  readonly name: string;
  readonly key: string;
  readonly fence: number;
  /** The condition that it leads, for transactions of the same group. */
  readonly guard: Condition;
  /** Aborted when leadership is lost. */
  readonly signal: AbortSignal;
  /** Changes what the others observe. Throws `not_held`. */
  proclaim(value: Bytes): Promise<void>;
  resign(): Promise<void>;
};

const TTL = 10;

export async function campaign(
  group: Group,
  name: string,
  value: Bytes,
  { ttl = TTL, hold, wait, signal }: ElectionOptions,
): Promise<Leadership> {
  return within(group.runtime, wait, signal, `The election "${name}" was not won within ${wait} ms.`, async (until) => {
    const lease = await group.lease(ttl, { signal: until, hold });
    return holding(lease, async () => {
      const either = until === undefined ? lease.signal : AbortSignal.any([until, lease.signal]);
      const { leader } = await group.carryOut(campaignSteps(byteString(name), BigInt(lease.id), byteString(value)), either);
      return {
        name,
        key: textOf(leader.key),
        fence: leader.rev,
        guard: { result: "equal", target: "create", key: leader.key, rangeEnd: "", value: leader.rev } as const,
        signal: lease.signal,
        proclaim: async (next: Bytes) => void (await group.carryOut(proclaim(leader, byteString(next)))),
        resign: async () => {
          await group.carryOut(resign(leader));
          await lease.revoke();
        },
      };
    });
  });
}

export async function leaderOf(group: Group, name: string, { signal }: { signal?: AbortSignal | undefined }): Promise<Leading | null> {
  try {
    return leading((await group.carryOut(leaderSteps(byteString(name)), signal)).kv);
  } catch (error) {
    // The procedure's only refusal.
    if (error instanceof SkerryError && error.code === "not_held") return null;
    throw error;
  }
}

export async function* observe(group: Group, name: string, { signal }: { signal?: AbortSignal }): AsyncGenerator<Leading, void, undefined> {
  for await (const { kv } of group.steps(observeSteps(byteString(name)), signal)) yield leading(kv);
}

function leading(kv: KeyValue): Leading {
  return { key: textOf(kv.key), entry: new Entry(kv), fence: kv.createRevision };
}
