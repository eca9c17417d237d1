import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { uniform } from "./data.ts";
import { Refused } from "./http.ts";
import { type Acknowledged, LostProgress, type ProducerState, send } from "./sender.ts";

type Fault = "busy" | "unavailable" | "crash-before" | "crash-midway" | "crash-after" | null;

/** A topic of three partitions with the protocol's producer rules, that fails where it is told to. */
class FakeTopic {
  readonly logs: number[][] = [[], [], []];
  readonly seen: Map<string, { epoch: number; seq: number }>[] = [new Map(), new Map(), new Map()];
  faults: () => Fault = () => null;
  /** Delays each answer by ms, so that requests overtake each other. */
  delays: () => number = () => 0;
  requests = 0;
  gaps = 0;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #sockets = new Set<Socket>();

  async listen(): Promise<string> {
    this.#server.on("connection", (socket) => this.#sockets.add(socket));
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/stream/flights`;
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const delay = this.delays();
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    const fault = this.faults();
    if (fault === "busy")
      return void response.writeHead(429, { "Retry-After": "0" }).end(JSON.stringify({ code: "overloaded", retryable: true }));
    if (fault === "unavailable") return void response.writeHead(503).end("upstream");
    if (fault === "crash-before") return void request.socket.destroy();
    const head = (name: string) => String(request.headers[name]);
    const producer = { id: head("producer-id"), epoch: Number(head("producer-epoch")), seq: Number(head("producer-seq")) };
    const records = JSON.parse(Buffer.concat(chunks).toString()) as number[];
    let news = false;
    for (const partition of [0, 1, 2]) {
      if (fault === "crash-midway" && partition === 1) return void request.socket.destroy();
      const known = this.seen[partition]!.get(producer.id) ?? { epoch: producer.epoch, seq: -1 };
      if (producer.epoch < known.epoch) {
        return void response
          .writeHead(403, { "Producer-Epoch": String(known.epoch) })
          .end(JSON.stringify({ code: "stale_epoch", detail: "superseded" }));
      }
      if (producer.seq <= known.seq) continue;
      if (producer.seq > known.seq + 1) {
        this.gaps++;
        return void response
          .writeHead(409, { "Producer-Expected-Seq": String(known.seq + 1) })
          .end(JSON.stringify({ code: "sequence_gap", detail: "gap" }));
      }
      this.logs[partition]!.push(...records.filter((record) => record % 3 === partition));
      this.seen[partition]!.set(producer.id, { epoch: producer.epoch, seq: producer.seq });
      news = true;
    }
    if (fault === "crash-after") return void request.socket.destroy();
    response.writeHead(news ? 200 : 204).end();
  }
}

const TOTAL = 400;
const SIZE = 7;
const batchAt = (seq: number) => {
  const records = Array.from({ length: Math.max(0, Math.min(SIZE, TOTAL - seq * SIZE)) }, (_, i) => seq * SIZE + i);
  return records.length === 0 ? null : { seq, records: records.length, body: JSON.stringify(records) };
};
const EXPECTED = [0, 1, 2].map((partition) => Array.from({ length: TOTAL }, (_, i) => i).filter((i) => i % 3 === partition));
const fast = { sleep: async () => void (await new Promise((resolve) => setImmediate(resolve))) };

function virtualTime() {
  let clock = 0;
  return {
    now: () => clock,
    sleep: async (ms: number) => {
      clock += ms;
    },
  };
}

let topic: FakeTopic;
let url: string;
const start = async () => {
  topic = new FakeTopic();
  url = await topic.listen();
};
afterEach(() => topic.close());
const producer = (next = 0): ProducerState => ({ id: "p", epoch: 0, next });

describe("send", () => {
  for (const inFlight of [1, 4]) {
    for (const seed of [1, 2, 3]) {
      it(`delivers every record once and in order through faults (in flight ${inFlight}, seed ${seed})`, async () => {
        await start();
        const random = uniform(seed);
        const faults: Fault[] = ["busy", "unavailable", "crash-before", "crash-midway", "crash-after"];
        topic.faults = () => (random() < 0.35 ? faults[Math.floor(random() * faults.length)]! : null);
        topic.delays = () => (inFlight > 1 ? Math.floor(random() * 3) : 0);
        const acks: Acknowledged[] = [];
        await send({ url, key: "k", producer: producer(), batchAt, inFlight, retry: fast, onAcknowledged: (ack) => acks.push(ack) });
        expect(topic.logs).toEqual(EXPECTED);
        expect(acks.map((ack) => ack.seq)).toEqual(Array.from({ length: Math.ceil(TOTAL / SIZE) }, (_, i) => i));
        expect(acks.reduce((sum, ack) => sum + ack.records, 0)).toBe(TOTAL);
        expect(acks.some((ack) => ack.duplicate)).toBe(true);
        expect(topic.gaps > 0).toBe(inFlight > 1);
      });
    }
  }

  it("goes on after its own crash with nothing lost or doubled, whether or not the last acknowledgement was noted", async () => {
    for (const forgotten of [0, 1]) {
      await start();
      const state = producer();
      const crash = new AbortController();
      const run = send({
        url,
        key: "k",
        producer: state,
        batchAt,
        signal: crash.signal,
        onAcknowledged: ({ seq }) => seq === 20 && crash.abort(new Error("killed")),
      });
      await expect(run).rejects.toThrow("killed");
      await send({ url, key: "k", producer: producer(state.next - forgotten), batchAt });
      expect(topic.logs).toEqual(EXPECTED);
      if (forgotten === 0) await topic.close();
    }
  });

  it("finds at once that the server lost what it acknowledged", async () => {
    await start();
    await expect(send({ url, key: "k", producer: producer(12), batchAt })).rejects.toBeInstanceOf(LostProgress);
    expect(topic.logs).toEqual([[], [], []]);
  });

  it("stops at a refusal, with the server's own words", async () => {
    await start();
    topic.seen[0]!.set("p", { epoch: 3, seq: 5 });
    const refused = send({ url, key: "k", producer: producer(), batchAt });
    await expect(refused).rejects.toBeInstanceOf(Refused);
    await expect(refused).rejects.toThrow("Batch 0 of p: 403 stale_epoch: superseded");
    expect(topic.requests).toBe(1);
  });

  it("waits for a server that is away, and gives up when patience ends", async () => {
    await start();
    await topic.close();
    const retry = { ...virtualTime(), patienceMs: 10_000 };
    await expect(send({ url, key: "k", producer: producer(), batchAt, retry })).rejects.toThrow(/no success in 1\d s, last: ECONNREFUSED/);
  });

  it("keeps to its schedule, and does not catch up an outage in a burst", async () => {
    await start();
    const sent: number[] = [];
    const retry = virtualTime();
    topic.faults = () => {
      sent.push(retry.now());
      if (sent.length === 10) void retry.sleep(60_000);
      return null;
    };
    await send({ url, key: "k", producer: producer(), batchAt, dueAt: (seq) => seq * 100, retry });
    const gaps = sent.slice(1).map((time, i) => time - sent[i]!);
    expect(gaps.slice(0, 8)).toEqual(Array(8).fill(100));
    expect(gaps.slice(11)).toEqual(Array(gaps.length - 11).fill(100));
  });
});
