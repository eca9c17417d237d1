/** A request that a real etcd refuses; `auth`: only once it wants to know who asks. The answers are in test/golden/etcd/refusals.golden.json. */
export type RefusedCase = { name: string; path: string; body: () => string; auth?: { authorization: string } };
export type RefusedAnswer = { status: number; body: string };
/** By the name of the case. */
export type Refusals = { etcd: string; answers: Record<string, RefusedAnswer> };

const b64 = (text: string) => btoa(text);
const a = b64("a");
const of = (value: unknown) => () => JSON.stringify(value);
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const put = (i: number) => ({ request_put: { key: b64(`k${i}`), value: a } });
const compare = (i: number) => ({ key: b64(`k${i}`), target: "VERSION", version: 0 });

/** What is there before: revisions 2 to 5 of a key, of which those before 4 are compacted, and the lease 7. */
export const SETUP: { path: string; body: string }[] = [
  ...times(4, (i) => ({ path: "kv/put", body: JSON.stringify({ key: a, value: b64(`${i}`) }) })),
  { path: "kv/compaction", body: '{"revision":4}' },
  { path: "lease/grant", body: '{"ID":7,"TTL":600}' },
];

export const REFUSED: RefusedCase[] = [
  { name: "a put under an unknown lease", path: "kv/put", body: of({ key: a, lease: 9 }) },
  {
    name: "a transaction that puts under an unknown lease",
    path: "kv/txn",
    body: of({ success: [{ request_put: { key: a, lease: 9 } }] }),
  },
  { name: "an unknown lease revoked", path: "lease/revoke", body: of({ ID: 9 }) },
  { name: "a lock under an unknown lease", path: "lock/lock", body: of({ name: a, lease: 9 }) },
  { name: "a candidacy under an unknown lease", path: "election/campaign", body: of({ name: a, lease: 9, value: a }) },
  { name: "a lease that exists", path: "lease/grant", body: of({ ID: 7, TTL: 600 }) },
  { name: "a lease of too long a time", path: "lease/grant", body: of({ ID: 8, TTL: 9_000_000_001 }) },
  { name: "a compacted revision", path: "kv/range", body: of({ key: a, revision: 3 }) },
  { name: "a compacted revision in a transaction", path: "kv/txn", body: of({ success: [{ request_range: { key: a, revision: 2 } }] }) },
  { name: "a compaction to what is compacted", path: "kv/compaction", body: of({ revision: 4 }) },
  { name: "a future revision", path: "kv/range", body: of({ key: a, revision: 99 }) },
  { name: "a future revision in a transaction", path: "kv/txn", body: of({ success: [{ request_range: { key: a, revision: 99 } }] }) },
  { name: "a compaction to a future revision", path: "kv/compaction", body: of({ revision: 99 }) },
  { name: "129 operations in a transaction", path: "kv/txn", body: of({ success: times(129, put) }) },
  { name: "129 operations in the other branch", path: "kv/txn", body: of({ failure: times(129, put) }) },
  { name: "129 comparisons in a transaction", path: "kv/txn", body: of({ compare: times(129, compare) }) },
  {
    name: "a transaction of 1.6 MB",
    path: "kv/txn",
    body: of({ success: [{ request_put: { key: a, value: b64("x".repeat(1_600_000)) } }] }),
  },
  { name: "a value of 1.6 MB", path: "kv/put", body: of({ key: a, value: b64("x".repeat(1_600_000)) }) },
  { name: "a put without a key", path: "kv/put", body: of({ value: a }) },
  { name: "a range without a key", path: "kv/range", body: of({}) },
  { name: "a deletion without a key", path: "kv/deleterange", body: of({}) },
  { name: "the same key put twice", path: "kv/txn", body: of({ success: [put(1), put(1)] }) },
  { name: "a value beside ignore_value", path: "kv/put", body: of({ key: a, value: a, ignore_value: true }) },
  { name: "a lease beside ignore_lease", path: "kv/put", body: of({ key: a, lease: 7, ignore_lease: true }) },
  { name: "the value of no key kept", path: "kv/put", body: of({ key: b64("none"), ignore_value: true }) },
  { name: "the leader of no election", path: "election/leader", body: of({ name: b64("none") }) },
  { name: "a proclamation without a leader", path: "election/proclaim", body: of({ value: a }) },
  { name: "a body that is cut short", path: "kv/put", body: () => '{"key":"YQ=="' },
  { name: "a body of the wrong kind", path: "kv/put", body: () => "[1]" },
  { name: "a key that is no base64", path: "kv/put", body: of({ key: "*" }) },
  { name: "a number that is none", path: "kv/range", body: of({ key: a, limit: "x" }) },
  { name: "an enumeration's unknown name", path: "kv/range", body: of({ key: a, sort_order: "SIDEWAYS" }) },
  { name: "a wrong token", path: "kv/range", body: of({ key: a }), auth: { authorization: "nonsense" } },
  { name: "a wrong token for a write", path: "kv/put", body: of({ key: a }), auth: { authorization: "nonsense.7" } },
];

/** For etcd to want to know who asks. */
export const AUTH_SETUP: { path: string; body: string }[] = [
  { path: "auth/user/add", body: '{"name":"root","password":"r"}' },
  { path: "auth/role/add", body: '{"name":"root"}' },
  { path: "auth/user/grant", body: '{"user":"root","role":"root"}' },
  { path: "auth/enable", body: "{}" },
];
