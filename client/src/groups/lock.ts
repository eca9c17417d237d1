import { lock as lockSteps, unlock } from "../../../core/consensus/kv/concurrency.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import type { Group } from "./group.ts";
import type { Lease } from "./lease.ts";
import { within } from "./time.ts";
import type { Condition } from "./txn.ts";
import { byteString, textOf } from "./values.ts";

export type LockOptions = {
  /** Seconds after which a holder that is not heard loses the lock; 10 unless given. */
  ttl?: number;
  /** Seconds after which a holder loses the lock whose connection is gone, in place of `ttl`; see `group.lease`. */
  hold?: number | undefined;
  /** Milliseconds to wait for it; for as long as it takes, unless given. Then `timed_out` is thrown. */
  wait?: number;
  signal?: AbortSignal | undefined;
};

/** A lock that is held. */
export type Lock = {
  readonly name: string;
  /** The key that says so; it ends with the holder. */
  readonly key: string;
  /** Grows from holder to holder: what refuses a lower number than it has seen cannot be changed by one that lost the lock. */
  readonly fence: number;
  /** The condition that it is held, for transactions of the same group. */
  readonly guard: Condition;
  /** Aborted when the lock is lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
};

const TTL = 10;

export async function acquire(group: Group, name: string, { ttl = TTL, hold, wait, signal }: LockOptions): Promise<Lock> {
  return within(group.runtime, wait, signal, `The lock "${name}" was not free within ${wait} ms.`, async (until) => {
    const lease = await group.lease(ttl, { signal: until, hold });
    return holding(lease, async () => {
      const held = await group.carryOut(
        lockSteps(byteString(name), BigInt(lease.id)),
        until === undefined ? lease.signal : AbortSignal.any([until, lease.signal]),
      );
      return {
        name,
        key: textOf(held.key),
        fence: held.fence,
        guard: { result: "equal", target: "create", key: held.key, rangeEnd: "", value: held.fence } as const,
        signal: lease.signal,
        release: async () => {
          // The key first: what waits for it goes on even if the lease takes longer to end.
          await group.carryOut(unlock(held.key));
          await lease.revoke();
        },
      };
    });
  });
}

export async function withLock<T>(group: Group, name: string, work: (lock: Lock) => T | Promise<T>, options: LockOptions): Promise<T> {
  const lock = await acquire(group, name, options);
  try {
    const done = await work(lock);
    if (lock.signal.aborted) throw lost(name, lock.signal.reason);
    return done;
  } catch (error) {
    if (lock.signal.aborted && error === lock.signal.reason) throw lost(name, error);
    throw error;
  } finally {
    if (!lock.signal.aborted) await lock.release().catch(() => {});
  }
}

function lost(name: string, cause: unknown): SkerryError {
  return new SkerryError("not_held", `The lock "${name}" was lost while it was worked under.`, { cause });
}

/** What goes wrong while a lease is made use of must not leave the lease behind. */
export async function holding<T>(lease: Lease, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    await lease.revoke().catch(() => {});
    throw error;
  }
}
