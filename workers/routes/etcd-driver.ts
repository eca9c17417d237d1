import { GATEWAY_CODES } from "../../core/consensus/etcd/errors.ts";
import type { Procedure, Step, StepAnswer } from "../../core/consensus/kv/concurrency.ts";
import { KvError, type Operation, type OperationResult, type WatchCreate, type WatchEvent } from "../../core/consensus/kv/types.ts";
import type { SkerryError } from "../../core/wire/errors.ts";
import type { GroupAnswer } from "../../durable-objects/group/ask.ts";
import type { WatchStream } from "../groups/door.ts";
import type { EtcdGate } from "./etcd-gate.ts";

/** What a watch has told and the procedure has not taken yet. */
type Inbox = { id: number; events: WatchEvent[]; revision: number; over: boolean; error: SkerryError | null; wake: (() => void) | null };

/** Takes the steps of a lock or an election against a group. */
export class Driver {
  /** Resolves, with null, when the procedure begins to wait for others. */
  readonly waiting: Promise<null>;
  /** Who answered last. */
  last: { member: number; term: number } = { member: 0, term: 0 };
  readonly #gate: EtcdGate;
  #begins: () => void = () => {};
  #stream: WatchStream | null = null;
  #inbox: Inbox | null = null;
  #watches = 0;
  #gone = false;

  constructor(gate: EtcdGate) {
    this.#gate = gate;
    this.waiting = new Promise((resolve) => {
      this.#begins = () => resolve(null);
    });
  }

  /** Throws what the procedure throws: `KvError`, or a `SkerryError` where the group cannot be reached. */
  async run<R, T>(steps: Procedure<R, T>, emit: (value: T) => void | Promise<void>): Promise<R> {
    try {
      let taken = steps.next(null);
      while (taken.done !== true) {
        let answer: StepAnswer;
        try {
          answer = await this.#take(taken.value, emit);
        } catch (thrown) {
          taken = steps.throw(thrown);
          continue;
        }
        taken = steps.next(answer);
      }
      return taken.value;
    } finally {
      this.#stream?.close();
    }
  }

  async write(operation: Operation): Promise<OperationResult> {
    const { value } = this.#heard(await this.#gate.ask({ ask: "write", operation, session: null }));
    if (value.told !== "write") throw new TypeError("a write was answered with something else");
    return value.result;
  }

  /** The caller went away: what waits ends, and the procedure cleans up behind itself. */
  abort(): void {
    this.#gone = true;
    this.#inbox?.wake?.();
  }

  async #take<T>(step: Step<T>, emit: (value: T) => void | Promise<void>): Promise<StepAnswer> {
    switch (step.step) {
      case "write":
        return this.write(step.operation);
      case "read": {
        const ask = { ask: "range", request: step.request, read: { level: "linearizable" }, after: 0 } as const;
        const { value } = this.#heard(await this.#gate.ask(ask));
        if (value.told !== "range") throw new TypeError("a read was answered with something else");
        return value.response;
      }
      case "emit":
        await emit(step.value);
        return null;
      case "watch":
        return this.#watch(step.create, step.resume);
    }
  }

  /** The next events of a watch; null where it was cancelled. */
  async #watch(create: WatchCreate, resume: boolean): Promise<StepAnswer> {
    this.#begins();
    const inbox = resume && this.#inbox !== null ? this.#inbox : await this.#begin(create);
    while (inbox.events.length === 0 && !inbox.over && inbox.error === null && !this.#gone) {
      await new Promise<void>((resolve) => {
        inbox.wake = resolve;
      });
    }
    if (this.#gone) throw new KvError(GATEWAY_CODES.canceled, "context canceled");
    if (inbox.events.length > 0) return { events: inbox.events.splice(0), revision: inbox.revision };
    if (inbox.error !== null) throw inbox.error;
    return null;
  }

  async #begin(create: WatchCreate): Promise<Inbox> {
    this.#stream ??= await this.#open();
    if (this.#inbox !== null && !this.#inbox.over) this.#stream.cancel(this.#inbox.id);
    const inbox: Inbox = { id: ++this.#watches, events: [], revision: 0, over: false, error: null, wake: null };
    this.#inbox = inbox;
    this.#stream.create(inbox.id, create);
    return inbox;
  }

  #open(): Promise<WatchStream> {
    // Of a watch that was given up for the next one nothing more is heard.
    const inbox = (id: number) => (this.#inbox?.id === id ? this.#inbox : null);
    return this.#gate.watch({
      created: (id, _, refusal) => {
        if (refusal !== "") this.#end(inbox(id));
      },
      events: (id, header, events) => {
        const to = inbox(id);
        if (to === null) return;
        to.events.push(...events);
        to.revision = header.revision;
        to.wake?.();
      },
      progress: () => {},
      canceled: (id) => this.#end(inbox(id)),
      closed: (error) => {
        if (this.#inbox === null) return;
        this.#inbox.error = error;
        this.#inbox.wake?.();
      },
    });
  }

  #end(inbox: Inbox | null): void {
    if (inbox === null) return;
    inbox.over = true;
    inbox.wake?.();
  }

  #heard(answer: GroupAnswer): GroupAnswer {
    this.last = answer;
    return answer;
  }
}
