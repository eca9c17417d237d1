import type { Random } from "../../../test/sim/kit/random.ts";
import { b64 } from "./bodies.ts";
import type { Planned, Step } from "./steps.ts";

/** Leases of the contenders; nothing else uses them. */
const [ONE, TWO] = ["1001", "1002"] as const;

const call = (path: string, fields: object): Step => ({ do: "call", path, body: JSON.stringify(fields) });
const prefixOf = (name: string): { key: string; range_end: string } => ({ key: b64(`${name}/`), range_end: b64(`${name}0`) });
const hex = (lease: string): string => BigInt(lease).toString(16);
const keyOf = (name: string, lease: string): string => b64(`${name}/${hex(lease)}`);

/** The contenders' leases are there, and no key of the name is. */
function begin(name: string): Step[] {
  return [call("kv/deleterange", prefixOf(name)), call("lease/grant", { ID: ONE, TTL: 600 }), call("lease/grant", { ID: TWO, TTL: "600" })];
}

/** A range that has so many keys of the name. */
function contenders(name: string, count: number): Step {
  const body = JSON.stringify({ ...prefixOf(name), count_only: true });
  return { do: "until", path: "kv/range", body, has: count === 0 ? '"raft_term":' : `"count":"${count}"` };
}

/** A lock that two want: how the second one gets it, or does not. */
export function contention(r: Random, stream: string): Step[] {
  const name = "lock";
  const lock = (lease: string) => JSON.stringify({ name: b64(name), lease });
  const ending = r.pick<Step[]>([
    [call("lock/unlock", { key: keyOf(name, ONE) }), { do: "settle", stream }, call("lock/unlock", { key: keyOf(name, TWO) })],
    [call("lease/revoke", { ID: ONE }), { do: "settle", stream }],
    [{ do: "close", stream }, contenders(name, 1), call("lock/unlock", { key: keyOf(name, TWO) })],
    [call("kv/deleterange", { key: keyOf(name, ONE) }), { do: "settle", stream }],
  ]);
  return [
    ...begin(name),
    { do: "call", path: "lock/lock", body: lock(ONE) },
    ...(r.chance(0.3) ? [{ do: "call", path: "lock/lock", body: lock(ONE) } as Step] : []),
    ...(r.chance(0.2) ? [call("lock/lock", { name: b64(name), lease: "424242" })] : []),
    { do: "open", stream, path: "lock/lock", body: lock(TWO) },
    contenders(name, 2),
    ...ending,
    call("kv/range", prefixOf(name)),
    { do: "close", stream },
    call("kv/deleterange", prefixOf(name)),
  ];
}

/** An election with two candidates and someone who observes it. */
export function election(r: Random, id: string): Planned[] {
  const name = "vote";
  const [observed, second] = [`${id}o`, `${id}c`];
  const campaign = (lease: string, value: string) => JSON.stringify({ name: b64(name), lease, value: b64(value) });
  let rev = 0;
  const leader = (off = 0) => ({ name: b64(name), key: keyOf(name, ONE), rev: String(rev + off), lease: ONE });
  const ask = (path: string, fields: object) => call(`election/${path}`, fields);
  return [
    ...begin(name),
    ask("leader", { name: b64(name) }),
    { do: "open", stream: observed, path: "election/observe", body: JSON.stringify({ name: b64(name) }) },
    { do: "call", path: "election/campaign", body: campaign(ONE, "1") },
    // The revision at which the candidate's key was made is what he is known by.
    (revision) => {
      rev = revision;
      return { do: "settle", stream: observed };
    },
    ask("leader", { name: b64(name) }),
    // The same candidate again proclaims another value.
    ...(r.chance(0.5)
      ? [{ do: "call", path: "election/campaign", body: campaign(ONE, "2") } as Step, { do: "settle", stream: observed } as Step]
      : []),
    ...(r.chance(0.5) ? [() => ask("proclaim", { leader: leader(), value: b64("3") }), { do: "settle", stream: observed } as Step] : []),
    ...(r.chance(0.3) ? [() => ask("proclaim", { leader: leader(1), value: b64("5") }), () => ask("resign", { leader: leader(-1) })] : []),
    ...(r.chance(0.1) ? [ask("proclaim", {}), ask("resign", {}), ask("campaign", { name: b64(name), lease: "424242" })] : []),
    { do: "open", stream: second, path: "election/campaign", body: campaign(TWO, "4") },
    contenders(name, 2),
    ...(r.chance(0.3)
      ? [{ do: "close", stream: second } as Step, contenders(name, 1)]
      : [
          r.pick<Planned>([
            () => ask("resign", { leader: leader() }),
            call("lease/revoke", { ID: ONE }),
            call("kv/deleterange", { key: keyOf(name, ONE) }),
          ]),
          { do: "settle", stream: second } as Step,
        ]),
    ask("leader", { name: b64(name) }),
    { do: "settle", stream: observed },
    { do: "close", stream: observed },
    { do: "close", stream: second },
    call("kv/range", prefixOf(name)),
    call("kv/deleterange", prefixOf(name)),
  ];
}
