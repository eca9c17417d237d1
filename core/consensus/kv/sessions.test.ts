import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_ANSWER_BYTES, MAX_SESSIONS_BYTES } from "./sessions.ts";
import { type Applied, KvStore } from "./store.ts";
import { type Command, MAX_PIPELINE, type PutRequest, type Session } from "./types.ts";

const putOf = (key: string, value = "", more: Partial<PutRequest> = {}): Command["operation"] => ({
  op: "put",
  request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false, ...more },
});
const says = (applied: Applied) => applied.error?.message.replace(/\d+/g, "#") ?? applied.result?.response;
const PASSED = "skerry: sequence # of this session has passed; it remembers what came after #";
const UNKNOWN = "skerry: this session is not known any more; begin a new one";

class Client {
  readonly store: KvStore;
  readonly name: string;
  constructor(store: KvStore, name = "client") {
    this.store = store;
    this.name = name;
  }
  put(seq: number, ack = 0, value = "", more: Partial<PutRequest> = {}): Applied {
    return this.store.apply({ operation: putOf(this.name, value, more), at: 0, session: { client: this.name, seq, ack } });
  }
}

describe("retries", () => {
  it("[KV11] answer what the first attempt answered, and happen once, errors too", () => {
    const store = new KvStore();
    const client = new Client(store);
    const first = client.put(1);
    expect(first).toMatchObject({ revision: 2, duplicate: false, events: [{ type: "put" }] });
    client.put(2, 0, "later");
    expect(client.put(1)).toEqual({ result: first.result, events: [], revision: 3, duplicate: true });
    expect(says(client.put(3, 0, "", { lease: 5n }))).toBe("etcdserver: requested lease not found");
    store.apply({ operation: { op: "leaseGrant", request: { id: 5n, ttl: 60 } }, at: 0, session: null });
    const again = client.put(3, 0, "", { lease: 5n });
    expect(says(again)).toBe("etcdserver: requested lease not found");
    expect(again.duplicate).toBe(true);
    expect(store.revision).toBe(3);
  });

  it("[KV11] in any order; what was acknowledged is refused and changes nothing", () => {
    const store = new KvStore();
    const client = new Client(store);
    for (const seq of [4, 2, 3]) client.put(seq);
    expect(client.put(2).duplicate).toBe(true);
    expect(client.put(1).duplicate).toBe(false);
    client.put(5, 3);
    for (const seq of [0, 1, 2, 3]) expect(says(client.put(seq))).toBe(PASSED);
    expect(client.put(4).duplicate).toBe(true);
    expect(says(client.put(6, 6))).toBe(PASSED);
    expect(store.revision).toBe(6);
  });

  it("[KV11] an answer pushed out by as many later ones as a client may have under way is refused", () => {
    const store = new KvStore();
    const client = new Client(store);
    for (let seq = 1; seq <= MAX_PIPELINE; seq++) client.put(seq);
    expect(client.put(1).duplicate).toBe(true);
    client.put(MAX_PIPELINE + 1);
    expect(says(client.put(1))).toBe(PASSED);
    expect(client.put(2).duplicate).toBe(true);
  });

  it("[KV11] an evicted session that has acknowledged something is told so", () => {
    const store = new KvStore({ maxSessions: 2 });
    const [one, two, three] = ["one", "two", "three"].map((name) => new Client(store, name)) as [Client, Client, Client];
    one.put(1);
    two.put(1);
    one.put(1);
    three.put(1);
    expect(says(two.put(2, 1))).toBe(UNKNOWN);
    expect(one.put(1).duplicate).toBe(true);
    expect(three.put(1).duplicate).toBe(true);
  });

  it("[KV11] an answer too large to keep is not repeated, and the command neither", () => {
    const store = new KvStore();
    const client = new Client(store);
    client.put(1, 0, "v".repeat(MAX_ANSWER_BYTES));
    const large = client.put(2, 0, "w", { prevKv: true });
    expect(large.result).toMatchObject({ response: { prevKv: { version: 1 } } });
    const again = client.put(2, 0, "w", { prevKv: true });
    expect(again.duplicate).toBe(true);
    expect(again.error?.message).toBe("skerry: this request took effect by revision 3; its answer was too large to be kept for a retry");
    expect(
      KvStore.restore(store.snapshot()).apply({ operation: putOf("client"), at: 0, session: { client: "client", seq: 2, ack: 0 } }),
    ).toEqual(again);
  });

  it("[KV11] all answers together are bounded: the sessions used longest ago go, then a session's own oldest answers", () => {
    const store = new KvStore();
    const quiet = new Client(store, "quiet");
    quiet.put(1);
    const client = new Client(store);
    const value = "v".repeat(MAX_ANSWER_BYTES / 2);
    const answers = Math.ceil(MAX_SESSIONS_BYTES / value.length) + 1;
    for (let seq = 1; seq <= answers; seq++) client.put(seq, 0, value, { prevKv: true });
    expect(store.bytes).toBeLessThan(MAX_SESSIONS_BYTES + (answers + 1) * (value.length + 200));
    expect(says(client.put(1, 0, value, { prevKv: true }))).toBe(PASSED);
    expect(client.put(answers).duplicate).toBe(true);
    expect(says(quiet.put(2, 1))).toBe(UNKNOWN);
  });

  it("[KV11] as a model that remembers in plain lists", () => {
    const session: fc.Arbitrary<Session> = fc.record({
      client: fc.constantFrom("a", "b", "c"),
      seq: fc.nat(8),
      ack: fc.constantFrom(0, 0, 0, 1, 3, 5),
    });
    fc.assert(
      fc.property(fc.array(session, { maxLength: 60, size: "max" }), (sessions) => {
        let store = new KvStore({ maxSessions: 2 });
        const known: { client: string; floor: number; answers: Map<number, unknown> }[] = [];
        for (const [i, { client, seq, ack }] of sessions.entries()) {
          if (i % 7 === 6) store = KvStore.restore(store.snapshot());
          const before = store.revision;
          const applied = store.apply({ operation: putOf(client), at: 0, session: { client, seq, ack } });
          const at = known.findIndex((each) => each.client === client);
          let entry = known[at];
          if (entry === undefined && (ack > 0 || seq === 0)) {
            expect(says(applied)).toBe(ack > 0 ? UNKNOWN : PASSED);
            continue;
          }
          if (entry === undefined) entry = { client, floor: 0, answers: new Map() };
          else known.splice(at, 1);
          known.push(entry);
          if (known.length > 2) known.shift();
          entry.floor = Math.max(entry.floor, ack);
          const first = seq > entry.floor ? entry.answers.get(seq) : PASSED;
          if (first === undefined) {
            expect(applied).toMatchObject({ duplicate: false, revision: before + 1 });
            entry.answers.set(seq, says(applied));
          } else {
            expect(says(applied)).toEqual(first);
            expect(applied).toMatchObject({ duplicate: first !== PASSED, revision: before, events: [] });
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
