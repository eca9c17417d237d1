import { effect, signal } from "@preact/signals";
import { createClient } from "@skerry/client";
import { ERRORS, errorOf, SkerryError } from "../../../core/wire/errors.ts";
import type { Api } from "../platform/api.ts";
import { may } from "../platform/may.ts";
import { type Session, session as signedIn } from "../platform/session.ts";
import { type DemoFlights, type Flight, unpackFlights } from "./demo-data.ts";

/** How a run of the demo stands. */
export type RunState = "idle" | "starting" | "running" | "paused" | "done";

/**
 * What a run has sent. A sequence number must mean the same batch for as long as the server remembers it, so the batch
 * never changes in a run; `topicAt` tells a topic that was deleted and made anew.
 */
type Saved = { format: 1; dataset: string; batch: number; id: string; next: number; total: number; topicAt: number; going: boolean };

export const TOPIC = "flights";
const CONFIG = { partitions: 4, key: "/origin", timestamp: "/date", contentType: "application/json", maxFutureMs: 300_000 };
/** Records a request. */
const BATCH = 250;
const RETRY = 2_000;
const RATE_MS = 4_000;

/**
 * Sends the flights of `npm run demo` from the browser, in the same order, each batch until it is acknowledged. How far
 * it is outlives a reload; leaving the page for another of the console does not stop it.
 */
export class DemoRun {
  readonly state = signal<RunState>("idle");
  readonly sent = signal(0);
  readonly total = signal(0);
  /** Records a second that are acknowledged, over the last seconds. */
  readonly rate = signal(0);
  /** Records a second that are asked for; infinite: as fast as the server takes them. */
  readonly speed = signal(2000);
  readonly problem = signal<string | null>(null);
  readonly #api: Api;
  readonly #key: string;
  readonly #mayCreate: boolean;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  #acknowledged: { at: number; sent: number }[] = [];

  constructor(api: Api, session: Session) {
    this.#api = api;
    this.#key = `skerry.demo.${session.project}`;
    this.#mayCreate = may(session, "streams", TOPIC, "admin");
    const saved = this.#read();
    if (saved === null) return;
    this.total.value = saved.total;
    this.sent.value = Math.min(saved.total, saved.next * saved.batch);
    this.state.value = this.sent.value === saved.total ? "done" : "paused";
    if (saved.going) this.start();
  }

  /** Starts, or goes on where it stood. */
  start(): void {
    if (this.state.value === "running" || this.state.value === "starting") return;
    this.state.value = "starting";
    this.problem.value = null;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const before = this.#ended;
    this.#ended = before.then(() => alone(this.#key, () => this.#run(signal))).catch((thrown) => this.#fail(thrown, signal));
  }

  /** Goes no further; what is under way is sent again when it goes on, and counted once. */
  pause(): void {
    this.#stop.abort();
    const saved = this.#read();
    if (saved !== null) this.#write({ ...saved, going: false });
    this.state.value = saved === null ? "idle" : "paused";
    this.rate.value = 0;
  }

  /** Forgets how far it is: the next start sends everything again, as new records. */
  forget(): void {
    this.pause();
    localStorage.removeItem(this.#key);
    this.sent.value = 0;
    this.problem.value = null;
    this.state.value = "idle";
  }

  /** The page is left for good: another may go on with the run. */
  close(): void {
    this.#stop.abort();
  }

  async #run(stop: AbortSignal): Promise<void> {
    const flights = await this.#persist(loadFlights, stop);
    const topic = createClient({
      url: location.origin,
      // Repeated here, so that the page can say so.
      attempts: 1,
      // Asked again when the token has ended: by then the session has its successor.
      ...(this.#api.credential !== null && { token: () => this.#api.credential ?? "" }),
    }).streams.topic<Flight>(TOPIC);
    const ready = () => (this.#mayCreate ? topic.create(CONFIG, { signal: stop }) : topic.info({ signal: stop }));
    const { createdAt } = await this.#persist(ready, stop);
    const saved = this.#read();
    const same = saved !== null && saved.dataset === flights.dataset && saved.topicAt === createdAt;
    const id = `console-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    const run: Saved = same
      ? saved
      : { format: 1, dataset: flights.dataset, batch: BATCH, id, next: 0, total: flights.count, topicAt: createdAt, going: true };
    this.total.value = flights.count;
    this.#took(run, flights);
    this.state.value = "running";
    let due = performance.now();
    while (run.next * run.batch < flights.count) {
      const records = flights.arrivals(run.next * run.batch, (run.next + 1) * run.batch);
      await this.#persist(() => topic.append(records, { producer: { id: run.id, epoch: 0, seq: run.next }, signal: stop }), stop);
      stop.throwIfAborted();
      run.next++;
      this.#took(run, flights);
      // An outage does not end in a burst: what is late by more than a second is let go.
      due = Math.max(due + (1000 * records.length) / this.speed.value, performance.now() - 1000);
      await sleep(due - performance.now(), stop);
    }
    this.#write({ ...run, going: false });
    this.rate.value = 0;
    this.state.value = "done";
  }

  /** Until it succeeds: the number of a batch makes a repetition harmless. */
  async #persist<T>(work: () => Promise<T>, stop: AbortSignal): Promise<T> {
    for (;;) {
      try {
        const done = await work();
        this.problem.value = null;
        return done;
      } catch (thrown) {
        stop.throwIfAborted();
        const error = errorOf(thrown);
        if (!ERRORS[error.code].retryable) throw error;
        this.problem.value = `${error.message} Trying again; nothing is lost or sent twice.`;
        await sleep(Math.max(RETRY, (error.retryAfter ?? 0) * 1000), stop);
      }
    }
  }

  #took(run: Saved, flights: DemoFlights): void {
    this.#write({ ...run, going: true });
    this.sent.value = Math.min(run.next * run.batch, flights.count);
    const at = performance.now();
    this.#acknowledged = [...this.#acknowledged.filter((each) => each.at > at - RATE_MS), { at, sent: this.sent.value }];
    const first = this.#acknowledged[0]!;
    this.rate.value = at === first.at ? 0 : ((this.sent.value - first.sent) * 1000) / (at - first.at);
  }

  #fail(thrown: unknown, stop: AbortSignal): void {
    if (stop.aborted) return;
    const error = errorOf(thrown);
    this.#api.refused(error);
    this.pause();
    this.problem.value = error.message;
  }

  #read(): Saved | null {
    try {
      const saved = JSON.parse(localStorage.getItem(this.#key) ?? "null") as Saved | null;
      return saved?.format === 1 ? saved : null;
    } catch {
      return null;
    }
  }

  #write(saved: Saved): void {
    try {
      localStorage.setItem(this.#key, JSON.stringify(saved));
    } catch {
      // Without storage the run lasts as long as the page.
    }
  }
}

let current: { api: Api; run: DemoRun } | null = null;

/** The run of whoever is signed in; one for all pages of the tab. */
export function demoRun(api: Api, session: Session): DemoRun {
  if (current?.api !== api) {
    current?.run.close();
    current = { api, run: new DemoRun(api, session) };
  }
  return current.run;
}

effect(() => {
  if (signedIn.value.state !== "out") return;
  current?.run.pause();
  current = null;
});

let loaded: Promise<DemoFlights> | null = null;

function loadFlights(): Promise<DemoFlights> {
  loaded ??= fetch("/demo/flights.bin")
    .then(async (response) => {
      if (!response.ok) throw new SkerryError("unavailable", `The flights were answered by status ${response.status}.`);
      return unpackFlights(await response.arrayBuffer());
    })
    .catch((cause) => {
      loaded = null;
      throw cause instanceof SkerryError ? cause : new SkerryError("unavailable", "The flights could not be loaded.", { cause });
    });
  return loaded;
}

/** One tab of a browser at a time: two would send under one producer's numbers. Where there are no locks, each tab is trusted. */
async function alone(name: string, work: () => Promise<void>): Promise<void> {
  if (navigator.locks === undefined) return work();
  await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock === null) throw new SkerryError("conflict", "The demo is running in another tab of this browser.");
    await work();
  });
}

function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    stop.throwIfAborted();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      if (stop.aborted) reject(stop.reason);
      else resolve();
    }
    stop.addEventListener("abort", done);
  });
}
