import { readFileSync } from "node:fs";
import { Doc, encodeStateAsUpdate } from "yjs";
import { Api, FLIGHTS } from "../../scripts/demo/api.ts";
import { until } from "../../scripts/lib/processes.ts";
import type { Server } from "../e2e/harness.ts";

type Flight = { id: string; date: number; delay: number; distance: number; origin: string; destination: string };

/** A day of eight airports' flights, out of order, with late ones and duplicates. */
export const FLIGHT_SAMPLE: readonly Flight[] = JSON.parse(readFileSync(new URL("../golden/flights-sample.json", import.meta.url), "utf8"));

const BATCH = 40;

/** The public interface of a server, as a test plays the world around the console. */
export class World {
  server: Server;
  /** Flights of the sample that were sent so far. */
  sent = 0;

  constructor(server: Server) {
    this.server = server;
  }

  get url(): string {
    return this.server.url;
  }

  get key(): string {
    return this.server.adminKey;
  }

  get api(): Api {
    return new Api({ url: this.url, key: this.key });
  }

  async call<T>(method: string, path: string, body?: unknown, credential = this.key): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${credential}`, "Content-Type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered by ${response.status}: ${text}`);
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  createFlights(): Promise<unknown> {
    return this.call("PUT", "/v1/topics/flights", FLIGHTS);
  }

  /** Appends the next flights of the sample in small batches, with a pause of so many ms after each. */
  async send(upTo: number = FLIGHT_SAMPLE.length, pause = 0): Promise<void> {
    while (this.sent < upTo) {
      const records = FLIGHT_SAMPLE.slice(this.sent, Math.min(upTo, this.sent + BATCH));
      await this.call("POST", "/v1/stream/flights", records);
      this.sent += records.length;
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** A token of ten minutes, unless told otherwise. */
  async mint(
    grants: unknown[],
    more: { expiresIn?: number; maxLifetime?: number; subject?: string } = {},
    credential = this.key,
  ): Promise<{ token: string; id: string }> {
    return this.call("POST", "/v1/tokens", { grants, expiresIn: 600, ...more }, credential);
  }

  /** Writes a text into a room's document, and so makes the room where it is not there yet. */
  async write(room: string, text: string): Promise<void> {
    const doc = new Doc();
    doc.getText("note").insert(0, text);
    const response = await fetch(`${this.url}/v1/rooms/${room}/doc`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.key}`, "Content-Type": "application/octet-stream" },
      body: encodeStateAsUpdate(doc) as Uint8Array<ArrayBuffer>,
    });
    if (!response.ok) throw new Error(`The room ${room} answered with ${response.status}: ${await response.text()}`);
  }

  /** Makes a group of three with a key in it. */
  async makeGroup(name: string): Promise<void> {
    await this.call("PUT", `/v1/groups/${name}`, { replicas: 3 });
    await this.put(name, "greeting", "hello");
  }

  async put(group: string, key: string, value: string): Promise<void> {
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    await this.call("POST", `/v1/groups/${group}/v3/kv/put`, { key: base64(key), value: base64(value) });
  }

  /** The document of the room that the console opens. */
  room(): Promise<{ notes: string; board: Record<string, { airport: string; count: number }> }> {
    return this.call("GET", "/v1/rooms/flight-desk/doc");
  }
}

/** Waits for what will be so soon. Throws with `what` if it is not. */
export async function soon(what: string, test: () => Promise<boolean>, within = 60_000): Promise<void> {
  if (!(await until(test, within, 50))) throw new Error(`Not within ${within} ms: ${what}.`);
}
