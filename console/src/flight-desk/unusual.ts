import { signal } from "@preact/signals";
import { errorOf } from "../../../core/wire/errors.ts";
import { allows } from "../../../core/wire/grant.ts";
import type { Api } from "../platform/api.ts";
import { report } from "../platform/connections.ts";
import { type Poll, poll } from "../platform/poll.ts";
import type { Session } from "../platform/session.ts";

/** A flight the model found unusual: minutes, miles, and a score from 0 to 1. */
export type UnusualFlight = {
  id: string;
  date: number;
  delay: number;
  distance: number;
  origin: string;
  destination: string;
  score: number;
};
/** `seq` numbers the flights as they came: a duplicate record is a flight of its own in a log. */
export type Listed = UnusualFlight & { seq: number };

export const UNUSUAL = "unusual";
const NAME = "Unusual flights";
const EVERY_MS = 1_000;
/** Before the topic exists it is looked for less often. */
const LOOK_MS = 2_000;
const KEPT = 200;

/** The topic `unusual`, read from its beginning and then once a second; the newest are kept. */
export class UnusualFlights {
  readonly newest = signal<readonly Listed[]>([]);
  readonly count = signal(0);
  readonly problem = signal<string | null>(null);
  readonly #api: Api;
  readonly #poll: Poll;
  /** The topic is made when its topology goes live. Who may not list topics finds out by asking for it. */
  readonly #mayNotList: boolean;
  #exists: boolean;
  #offset = "-1";

  constructor(api: Api, session: Session) {
    this.#api = api;
    this.#mayNotList = !allows(session.grants, "streams", "*", "read");
    this.#exists = this.#mayNotList;
    this.#poll = poll(
      (signal) => this.#round(signal),
      () => (this.#exists ? EVERY_MS : LOOK_MS),
      (connection) => {
        report(NAME, connection);
        this.problem.value = connection.state === "refused" ? connection.detail : null;
      },
    );
  }

  close(): void {
    this.#poll.stop();
    report(NAME, null);
  }

  async #round(signal: AbortSignal): Promise<void> {
    this.#exists ||= await this.#look(signal);
    for (let more = this.#exists; more; ) {
      const path = `/v1/stream/${UNUSUAL}?offset=${encodeURIComponent(this.#offset)}`;
      const answer = await this.#api.read<UnusualFlight[]>(path, signal).catch((thrown) => this.#whereThereIsNone(thrown));
      if (answer === null) return;
      const { body, headers } = answer;
      const next = headers.get("Stream-Next-Offset") ?? this.#offset;
      more = headers.get("Stream-Up-To-Date") !== "true" && next !== this.#offset;
      this.#offset = next;
      this.#take(body);
    }
  }

  /** The topic was deleted, or was never there: what comes next begins anew. */
  #whereThereIsNone(thrown: unknown): null {
    if (errorOf(thrown).code !== "topic_not_found") throw thrown;
    this.#exists = this.#mayNotList;
    this.#offset = "-1";
    this.newest.value = [];
    this.count.value = 0;
    return null;
  }

  /** Whether the topic is there. Asked by listing, because asking for what is not there is an error in the browser's eyes. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const before = UNUSUAL.slice(0, -1);
    const { topics } = await this.#api.get<{ topics: { name: string }[] }>(`/v1/topics?after=${before}&limit=100`, signal);
    return topics.some(({ name }) => name === UNUSUAL);
  }

  #take(flights: readonly UnusualFlight[]): void {
    if (flights.length === 0) return;
    const first = this.count.value;
    const fresh = flights.slice(-KEPT).reverse();
    const listed = fresh.map((flight, index) => ({ ...flight, seq: first + flights.length - index }));
    this.newest.value = [...listed, ...this.newest.value].slice(0, KEPT);
    this.count.value = first + flights.length;
  }
}
