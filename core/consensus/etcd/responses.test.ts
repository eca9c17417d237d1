import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyValue } from "../kv/types.ts";
import { fromBase64 } from "./base64.ts";
import { writeCampaign, writeLeader, writeLock } from "./concurrency.ts";
import { onlyReads, readBody, UNARY, writeTold } from "./gateway.ts";
import { idOf, writeHeader } from "./header.ts";
import { writeKeyValue } from "./kv-responses.ts";
import { writeLeaseKeepAlive } from "./lease.ts";
import { writeMembers, writeStatus } from "./maintenance.ts";
import { writeWatch } from "./watch.ts";

const facts = { cluster: 324952591200643719n, member: 3319814642761637952n, term: 2 };
const HEAD = '"cluster_id":"324952591200643719","member_id":"3319814642761637952"';
const kv: KeyValue = { key: "foo", createRevision: 2, modRevision: 3, version: 2, value: "11", lease: 7n };

describe("responses, as a real etcd 3.4.23 printed them", () => {
  it("[ER1] range: zero values are left out, 64-bit integers are strings", () => {
    const header = { revision: 3 };
    expect(writeTold(facts, { told: "range", response: { header, kvs: [], more: false, count: 0 } })).toBe(
      `{"header":{${HEAD},"revision":"3","raft_term":"2"}}`,
    );
    expect(writeTold(facts, { told: "range", response: { header, kvs: [kv], more: true, count: 2 } })).toBe(
      `{"header":{${HEAD},"revision":"3","raft_term":"2"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"2","value":"MTE=","lease":"7"}],"more":true,"count":"2"}`,
    );
  });

  it("[ER2] a transaction's answers have the revision alone in their header, a nested one's nothing", () => {
    const header = { revision: 25 };
    const put = { op: "put" as const, response: { header, prevKv: null } };
    const range = { op: "range" as const, response: { header, kvs: [{ ...kv, lease: 0n }], more: false, count: 1 } };
    const deleted = { op: "deleteRange" as const, response: { header, deleted: 0, prevKvs: [] } };
    const nested = { op: "txn" as const, response: { header, succeeded: true, responses: [range] } };
    const told = {
      told: "write" as const,
      result: { op: "txn" as const, response: { header, succeeded: true, responses: [put, deleted, nested] } },
    };
    expect(writeTold(facts, told)).toBe(
      `{"header":{${HEAD},"revision":"25","raft_term":"2"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"25"}}},{"response_delete_range":{"header":{"revision":"25"}}},{"response_txn":{"header":{},"succeeded":true,"responses":[{"response_range":{"header":{"revision":"25"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"2","value":"MTE="}],"count":"1"}}]}}]}`,
    );
  });

  it("[ER3] leases", () => {
    expect(writeLeaseKeepAlive(facts, { header: { revision: 9 }, id: 7n, ttl: 60 })).toBe(
      `{"result":{"header":{${HEAD},"revision":"9","raft_term":"2"},"ID":"7","TTL":"60"}}\n`,
    );
    expect(writeLeaseKeepAlive(facts, { header: { revision: 9 }, id: 12n, ttl: 0 })).toBe(
      `{"result":{"header":{${HEAD},"revision":"9","raft_term":"2"},"ID":"12"}}\n`,
    );
    const gone = { header: { revision: 2 }, id: 12n, ttl: -1, grantedTtl: 0, keys: [] };
    expect(writeTold(facts, { told: "leaseTimeToLive", response: gone })).toBe(
      `{"header":{${HEAD},"revision":"2","raft_term":"2"},"ID":"12","TTL":"-1"}`,
    );
    const alive = { header: { revision: 9 }, id: 7n, ttl: 59, grantedTtl: 60, keys: ["foo", "foq"] };
    expect(writeTold(facts, { told: "leaseTimeToLive", response: alive })).toBe(
      `{"header":{${HEAD},"revision":"9","raft_term":"2"},"ID":"7","TTL":"59","grantedTTL":"60","keys":["Zm9v","Zm9x"]}`,
    );
    expect(writeTold(facts, { told: "leases", response: { header: { revision: 2 }, ids: [8n, -7n] } })).toBe(
      `{"header":{${HEAD},"revision":"2","raft_term":"2"},"leases":[{"ID":"8"},{"ID":"-7"}]}`,
    );
  });

  it("[ER4] watches: one line an answer", () => {
    expect(writeWatch(facts, { revision: 13, id: 0n, created: true })).toBe(
      `{"result":{"header":{${HEAD},"revision":"13","raft_term":"2"},"created":true}}\n`,
    );
    expect(writeWatch(facts, { revision: 0, id: 0n, canceled: true, compactRevision: 5 })).toBe(
      `{"result":{"header":{${HEAD},"raft_term":"2"},"canceled":true,"compact_revision":"5"}}\n`,
    );
    expect(
      writeWatch(facts, {
        revision: 13,
        id: -1n,
        created: true,
        canceled: true,
        cancelReason: "mvcc: duplicate watch ID provided on the WatchStream",
      }),
    ).toBe(
      `{"result":{"header":{${HEAD},"revision":"13","raft_term":"2"},"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"mvcc: duplicate watch ID provided on the WatchStream"}}\n`,
    );
    const gone: KeyValue = { key: "foo", createRevision: 0, modRevision: 10, version: 0, value: "", lease: 0n };
    const first: KeyValue = { key: "foo", createRevision: 8, modRevision: 8, version: 1, value: "", lease: 7n };
    expect(
      writeWatch(facts, {
        revision: 13,
        id: 0n,
        events: [
          { type: "put", kv: first, prevKv: null },
          { type: "delete", kv: gone, prevKv: first },
        ],
      }),
    ).toBe(
      `{"result":{"header":{${HEAD},"revision":"13","raft_term":"2"},"events":[{"kv":{"key":"Zm9v","create_revision":"8","mod_revision":"8","version":"1","lease":"7"}},{"type":"DELETE","kv":{"key":"Zm9v","mod_revision":"10"},"prev_kv":{"key":"Zm9v","create_revision":"8","mod_revision":"8","version":"1","lease":"7"}}]}}\n`,
    );
  });

  it("[ER5] locks and elections", () => {
    expect(writeLock(facts, 14, "my/2040a21778aae14a")).toBe(
      `{"header":{${HEAD},"revision":"14","raft_term":"2"},"key":"bXkvMjA0MGEyMTc3OGFhZTE0YQ=="}`,
    );
    expect(writeCampaign(facts, 18, { name: "el", key: "el/4d", rev: 18, lease: 77n })).toBe(
      `{"header":{${HEAD},"revision":"18","raft_term":"2"},"leader":{"name":"ZWw=","key":"ZWwvNGQ=","rev":"18","lease":"77"}}`,
    );
    expect(writeLeader(facts, 21, { key: "el/4d", createRevision: 18, modRevision: 19, version: 2, value: "2", lease: 77n })).toBe(
      `{"header":{${HEAD},"revision":"21","raft_term":"2"},"kv":{"key":"ZWwvNGQ=","create_revision":"18","mod_revision":"19","version":"2","value":"Mg==","lease":"77"}}`,
    );
  });

  it("[ER6] status and members", () => {
    const status = { revision: 2, bytes: 16384, leader: facts.member, index: 13, applied: 13, term: 2, learner: false };
    expect(writeStatus(facts, status)).toBe(
      `{"header":{${HEAD},"revision":"2","raft_term":"2"},"version":"3.4.23","dbSize":"16384","leader":"3319814642761637952","raftIndex":"13","raftTerm":"2","raftAppliedIndex":"13","dbSizeInUse":"16384"}`,
    );
    const member = { id: facts.member, name: "default", peerURLs: ["http://a"], clientURLs: ["http://b"], learner: false };
    expect(writeMembers(facts, [member])).toBe(
      `{"header":{${HEAD},"raft_term":"2"},"members":[{"ID":"3319814642761637952","name":"default","peerURLs":["http://a"],"clientURLs":["http://b"]}]}`,
    );
  });

  it("[ER7] a key-value reads back as it was, whatever its bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => String.fromCharCode(...array));
    const int = fc.nat();
    fc.assert(
      fc.property(bytes, bytes, int, int, int, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (key, value, a, b, c, lease) => {
        const json = JSON.parse(writeKeyValue({ key, value, createRevision: a, modRevision: b, version: c, lease }));
        expect(fromBase64(json.key ?? "")).toBe(key);
        expect(fromBase64(json.value ?? "")).toBe(value);
        expect([json.create_revision, json.mod_revision, json.version].map((each) => Number(each ?? 0))).toEqual([a, b, c]);
        expect(BigInt(json.lease ?? 0)).toBe(lease);
      }),
    );
  });

  it("[ER8] ids are of 64 bits and differ by name", () => {
    expect(idOf("")).toBe(0xcbf29ce484222325n);
    expect(idOf("a")).toBe(0xaf63dc4c8601ec8cn);
    expect(writeHeader({ cluster: 0n, member: 0n, revision: 0, term: 0 })).toBe("{}");
  });

  it("[EG1] what only reads needs the right to read alone", () => {
    const ask = (path: keyof typeof UNARY, body: string) => onlyReads(UNARY[path].ask(readBody(body)));
    expect(ask("kv/range", "{}")).toBe(true);
    expect(ask("lease/leases", "{}")).toBe(true);
    expect(ask("lease/timetolive", "{}")).toBe(true);
    expect(ask("kv/txn", '{"success":[{"request_range":{"key":"YQ=="}}]}')).toBe(true);
    expect(ask("kv/txn", '{"failure":[{"request_txn":{"failure":[{"request_range":{"key":"YQ=="}}]}}]}')).toBe(true);
    expect(ask("kv/txn", '{"failure":[{"request_txn":{"failure":[{"request_put":{"key":"YQ=="}}]}}]}')).toBe(false);
    for (const path of ["kv/put", "kv/deleterange", "kv/compaction", "lease/grant", "lease/revoke"] as const)
      expect(ask(path, "{}")).toBe(false);
  });
});
