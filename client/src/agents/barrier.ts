import { SkerryError } from "../../../core/wire/errors.ts";
import type { Group } from "../groups/group.ts";
import type { Lease } from "../groups/lease.ts";
import { within } from "../groups/time.ts";
import { del, get, put, range, when } from "../groups/txn.ts";

export type BarrierOptions = {
  /** Who waits; a name of its own unless given. Two cannot wait under one name. */
  id?: string;
  /** Milliseconds to wait, after which `timed_out` is thrown; for as long as it takes, unless given. */
  timeout?: number;
  /** Who waits counts while this lease lives; without, one of its own. */
  lease?: Lease;
  /** Seconds, of a lease of its own; 10 unless given. */
  ttl?: number;
  signal?: AbortSignal;
};

const TTL = 10;

/**
 * Waits until so many parties wait at a barrier, and then lets all of them go. It stays open: give each round a name of its own.
 * @example
 * await barrier(group, "round-7", 20, { timeout: 30_000 });
 */
export async function barrier(group: Group, name: string, parties: number, options: BarrierOptions = {}): Promise<void> {
  const { id = group.runtime.uuid(), timeout, ttl = TTL, signal } = options;
  const root = `barriers/${encodeURIComponent(name)}`;
  const gate = `${root}/open`;
  const own = `${root}/parties/${encodeURIComponent(id)}`;
  await within(
    group.runtime,
    timeout,
    signal,
    `Fewer than ${parties} came to the barrier "${name}" within ${timeout} ms.`,
    async (until) => {
      const lease = options.lease ?? (await group.lease(ttl, { signal: until }));
      const either = until === undefined ? lease.signal : AbortSignal.any([until, lease.signal]);
      try {
        const arrived = await group
          .txn({ signal: either })
          .if(when(gate).absent(), when(own).absent())
          .do(put(own, "", { lease }), range({ prefix: `${root}/parties/` }, { keysOnly: true }))
          .else(get(gate))
          .commit();
        if (arrived.succeeded) {
          const present = new Set(arrived.answers[1].entries.map(({ key }) => key));
          await wait(group, root, gate, parties, present, arrived.revision, either);
        } else if (arrived.answers[0] === null) {
          throw new SkerryError("conflict", `"${id}" waits at the barrier "${name}" already, or its end was not noticed yet.`);
        }
      } finally {
        if (options.lease === undefined) await lease.revoke().catch(() => {});
        else await leave(group, own, lease);
      }
    },
  );
}

/** Also where it is not known whether it came; not another's place. */
async function leave(group: Group, own: string, lease: Lease): Promise<void> {
  await group
    .txn()
    .if(when(own).lease.is(lease.id))
    .do(del(own))
    .commit()
    .catch(() => {});
}

/** `present`: the keys of those who wait, as of `revision`. */
async function wait(
  group: Group,
  root: string,
  gate: string,
  parties: number,
  present: Set<string>,
  revision: number,
  signal: AbortSignal,
): Promise<void> {
  // Whoever sees that all are there opens it; that several do so does no harm.
  const open = () => group.put(gate, `${parties}`, { signal });
  if (present.size >= parties) return void (await open());
  for await (const { events } of group.watch({ prefix: `${root}/` }, { from: revision, signal })) {
    for (const { type, key } of events) {
      if (key === gate) return;
      if (type === "put") present.add(key);
      else present.delete(key);
    }
    if (present.size >= parties) return void (await open());
  }
}
