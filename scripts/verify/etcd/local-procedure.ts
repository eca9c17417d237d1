import { concurrencyError, errorBody, GATEWAY_CODES, httpStatus, readError } from "../../../core/consensus/etcd/errors.ts";
import type { Procedure, Step, StepAnswer } from "../../../core/consensus/kv/concurrency.ts";
import type { KvStore } from "../../../core/consensus/kv/store.ts";
import { KvError, type Operation, type OperationResult, type WatchCreate, type WatchEvent } from "../../../core/consensus/kv/types.ts";
import { WatchHub, type WatchResponse } from "../../../core/consensus/kv/watch.ts";
import type { Stream } from "./target.ts";

export interface ProcedureHost {
  readonly store: KvStore;
  write(operation: Operation): OperationResult;
}

type Begun = { steps: Procedure<string, string>; streams: boolean };
type Asked = Exclude<Step<string>, { step: "emit" | "watch" }>;
type Waits = { hub: WatchHub; heard: WatchEvent[]; over: boolean };

/** A lock or election under way over a store in this process: its steps are taken as far as they go whenever the store changed. */
export class LocalProcedure implements Stream {
  readonly #host: ProcedureHost;
  readonly #running: Set<LocalProcedure>;
  readonly #begun: Begun | null;
  #text = "";
  #status = 0;
  #ended = false;
  #waits: Waits | null = null;
  #next: StepAnswer = null;
  #busy = false;

  constructor(host: ProcedureHost, begin: () => Begun, running: Set<LocalProcedure>) {
    this.#host = host;
    this.#running = running;
    running.add(this);
    try {
      this.#begun = begin();
    } catch (thrown) {
      this.#begun = null;
      // What does not read is the gateway's own refusal; what the store refuses (a lease to grant) the service passes on.
      this.#fail(readError(thrown));
    }
  }

  status(): number {
    return this.#status;
  }

  text(): string {
    return this.#text;
  }

  ended(): boolean {
    return this.#ended;
  }

  /** The caller went away: the procedure cleans up. */
  close(): void {
    if (this.#ended || this.#begun === null) return;
    this.#ended = true;
    this.#waits = null;
    this.#drive(() => this.#begun!.steps.throw(new KvError(GATEWAY_CODES.canceled, "context canceled")), true);
    this.#running.delete(this);
  }

  /** The store has changed. */
  applied(revision: number, events: WatchEvent[]): void {
    const waits = this.#waits;
    if (waits === null || events.length === 0) return;
    this.#hear(waits, waits.hub.apply(revision, events));
  }

  /** Goes on, if there is something to go on with: at the beginning, and after the store has changed. */
  proceed(): void {
    if (this.#ended || this.#begun === null || this.#busy) return;
    const waits = this.#waits;
    if (waits !== null) {
      for (let behind = waits.hub.behind(); behind.length > 0; behind = waits.hub.behind())
        this.#hear(
          waits,
          behind.flatMap((id) => waits.hub.read(id)),
        );
      if (waits.heard.length === 0 && !waits.over) return;
      const events = waits.heard.splice(0);
      this.#next = events.length > 0 ? { events, revision: this.#host.store.revision } : null;
    }
    this.#drive(() => this.#begun!.steps.next(this.#next), false);
  }

  #hear(waits: Waits, answers: WatchResponse[]): void {
    for (const { events, canceled } of answers) {
      waits.heard.push(...events);
      if (canceled) waits.over = true;
    }
  }

  #drive(first: () => IteratorResult<unknown, string>, cleaning: boolean): void {
    this.#busy = true;
    const { steps, streams } = this.#begun as Begun;
    try {
      let taken = first() as ReturnType<Begun["steps"]["next"]>;
      while (taken.done !== true) {
        const step = taken.value;
        if (step.step === "emit") {
          this.#status = 200;
          this.#text += step.value;
          taken = steps.next(null);
        } else if (step.step === "watch") {
          if (!step.resume || this.#waits === null) this.#waits = this.#watch(step.create);
          if (cleaning) return;
          this.#busy = false;
          queueMicrotask(() => this.proceed());
          return;
        } else {
          this.#waits = null;
          taken = this.#take(steps, step);
        }
      }
      if (cleaning) return;
      this.#status = 200;
      this.#text += streams ? "" : taken.value;
      this.#end();
    } catch (thrown) {
      if (!cleaning) this.#fail(concurrencyError(readError(thrown)));
    } finally {
      this.#busy = false;
    }
  }

  #take(steps: Begun["steps"], step: Asked) {
    let answer: StepAnswer;
    try {
      if (step.step === "write") answer = this.#host.write(step.operation);
      else {
        this.#host.store.checkRange(step.request);
        answer = this.#host.store.range(step.request);
      }
    } catch (thrown) {
      return steps.throw(thrown);
    }
    return steps.next(answer);
  }

  #watch(create: WatchCreate): Waits {
    const hub = new WatchHub(this.#host.store);
    hub.create(1, create);
    return { hub, heard: [], over: false };
  }

  #fail(error: KvError): void {
    this.#status = httpStatus(error.grpc);
    this.#text += errorBody(error.grpc, error.message);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#running.delete(this);
  }
}
