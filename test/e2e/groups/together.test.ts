import { request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sleep } from "../../../scripts/lib/processes.ts";
import { type Server, startServer } from "../harness.ts";

// Requests of one isolate travel to a replica together. The in-runtime tests cannot see that (their runner has the platform's
// handling of promises across requests switched off), so it is done here, to a server of its own.

let server: Server;
beforeAll(async () => {
  server = await startServer({ env: { SKERRY_FAULTS: "1" } });
  expect((await post("kv/put", { key: b64("warm"), value: b64("1") })).status).toBe(200);
});
afterAll(() => server?.close());

const b64 = (text: string) => Buffer.from(text).toString("base64");
type Answer = { status: number; body: { [member: string]: unknown; kvs?: { value: string; version: string }[] } };

async function post(path: string, body: unknown): Promise<Answer> {
  const response = await fetch(`${server.url}/v3/${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${server.adminKey}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

/** Sends a request whole, and leaves before it is answered. */
function leave(path: string, body: unknown, after: number): Promise<void> {
  return new Promise((resolve) => {
    const sent = request(`${server.url}/v3/${path}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${server.adminKey}`, "Content-Type": "application/json" },
    });
    sent.on("error", () => {});
    sent.on("close", () => resolve());
    sent.end(JSON.stringify(body), () => setTimeout(() => sent.destroy(), after));
  });
}

it("every one of many that ask at once gets its own answer", async () => {
  const keys = Array.from({ length: 200 }, (_, i) => `together/${i}`);
  const puts = await Promise.all(keys.map((key) => post("kv/put", { key: b64(key), value: b64(`value of ${key}`) })));
  expect(puts.map(({ status }) => status)).toEqual(keys.map(() => 200));
  const mixed = await Promise.all(
    keys.map((key, i) =>
      i % 5 === 4
        ? post("kv/range", { key: b64(key), revision: "999999999" })
        : post("kv/range", { key: b64(key), serializable: i % 5 === 3 }),
    ),
  );
  for (const [i, { status, body }] of mixed.entries()) {
    // What one is refused, its neighbours are not.
    if (i % 5 === 4) expect([status, body.code]).toEqual([400, 11]);
    else if (i % 5 !== 3) expect(body.kvs).toMatchObject([{ value: b64(`value of ${keys[i]}`), version: "1" }]);
    else expect(status).toBe(200);
  }
});

it("a client that leaves takes nobody along, although what others asked travelled with it", async () => {
  const counter = { key: b64("counter"), value: b64("x") };
  for (let round = 0; round < 20; round++) {
    const gone = Array.from({ length: 8 }, (_, i) => leave("kv/put", counter, (round + i) % 4));
    const stayed = Array.from({ length: 8 }, () => post("kv/put", counter));
    expect((await Promise.all(stayed)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    await Promise.all(gone);
  }
  const { body } = await post("kv/range", { key: b64("counter") });
  const version = Number(body.kvs?.[0]?.version);
  // Those that stayed were all done, once; those that left may have been.
  expect(version).toBeGreaterThanOrEqual(160);
  expect(version).toBeLessThanOrEqual(320);
});

it("locks pass from hand to hand while others keep asking", async () => {
  let busy = true;
  const others = Array.from({ length: 4 }, async () => {
    while (busy) expect((await post("kv/range", { key: b64("warm") })).status).toBe(200);
  });
  const held: string[] = [];
  await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const { body: lease } = await post("lease/grant", { TTL: "60" });
      const { status, body } = await post("lock/lock", { name: b64("door"), lease: lease.ID });
      expect(status).toBe(200);
      held.push(`in ${i}`);
      await sleep(20);
      held.push(`out ${i}`);
      expect((await post("lock/unlock", { key: body.key })).status).toBe(200);
    }),
  );
  busy = false;
  await Promise.all(others);
  // Nobody came in before the last one was out.
  for (let i = 0; i < held.length; i += 2) expect(held[i]!.replace("in", "out")).toBe(held[i + 1]);
});

it("a leader that hangs is left by everybody who asked it", async () => {
  const headers = { Authorization: `Bearer ${server.adminKey}`, "Content-Type": "application/json" };
  const group = `${server.url}/v1/groups/default`;
  const { leader } = (await (await fetch(group, { headers })).json()) as { leader: number };
  const fault = (hang: boolean) => fetch(`${group}/members/${leader}/fault`, { method: "POST", headers, body: JSON.stringify({ hang }) });
  expect((await fault(true)).status).toBe(204);
  // Nobody knows what became of these, and who sent them is told so as soon as another leads: not only when all patience is at its end.
  const lost = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const sent = performance.now();
      const { status, body } = await post("kv/put", { key: b64("warm"), value: b64("1") });
      return { status, code: body.code, ms: performance.now() - sent };
    }),
  );
  for (const { status, code, ms } of lost) {
    expect([status, code]).toEqual([503, 14]);
    expect(ms).toBeLessThan(4_500);
  }
  const reads = await Promise.all(Array.from({ length: 40 }, () => post("kv/range", { key: b64("warm") })));
  expect(reads.map(({ status }) => status)).toEqual(Array(40).fill(200));
  expect((await post("kv/put", { key: b64("warm"), value: b64("2") })).status).toBe(200);
  expect((await fault(false)).status).toBe(204);
  expect(server.logs()).not.toMatch(/different request|hung/);
});

it("large values that many ask for at once all come", async () => {
  const value = "v".repeat(1_000_000);
  const keys = Array.from({ length: 12 }, (_, i) => `large/${i}`);
  for (const key of keys) expect((await post("kv/put", { key: b64(key), value: b64(value + key) })).status).toBe(200);
  const reads = await Promise.all(keys.map((key) => post("kv/range", { key: b64(key) })));
  for (const [i, { status, body }] of reads.entries()) {
    expect(status).toBe(200);
    expect(body.kvs?.[0]?.value === b64(value + keys[i])).toBe(true);
  }
});
