import { ERRORS, SkerryError } from "../../../core/wire/errors.ts";
import { type ClientFrame, type DataItem, MAX_CREDIT, type ServerFrame } from "../../../core/wire/frames.ts";

export type SubscriptionHost = {
  send(frame: ClientFrame): void;
  /** The subscription was refused for now: subscribe again later. */
  again(subscription: Subscription, error: SkerryError): void;
  closed(subscription: Subscription): void;
};

/**
 * One subscription on a shared socket, read item by item, through reconnections: it resumes after the last item that arrived.
 * Reading grants credit, so a slow reader slows its server, not its memory.
 */
export class Subscription {
  readonly id: number;
  readonly target: string;
  readonly #host: SubscriptionHost;
  readonly #credit: number;
  readonly #queue: DataItem[] = [];
  #received: string | null;
  #used = 0;
  #failure: unknown = null;
  #done = false;
  #wake: (() => void) | null = null;

  constructor(host: SubscriptionHost, id: number, target: string, from: string | null, credit: number) {
    if (!Number.isInteger(credit) || credit < 1 || credit > MAX_CREDIT)
      throw new SkerryError("bad_request", `"credit" is a whole number from 1 to ${MAX_CREDIT}.`);
    this.#host = host;
    this.id = id;
    this.target = target;
    this.#received = from;
    this.#credit = credit;
  }

  /** Where it goes on after what has arrived; null until the server has confirmed a start from now. */
  get position(): string | null {
    return this.#received;
  }

  get done(): boolean {
    return this.#done;
  }

  /** The next item; null when it was closed. Throws what the server refuses with. */
  async next(): Promise<DataItem | null> {
    for (;;) {
      const item = this.#queue.shift();
      if (item !== undefined) {
        this.#account();
        return item;
      }
      if (this.#failure !== null) {
        const failure = this.#failure;
        this.#failure = null;
        throw failure;
      }
      if (this.#done) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    if (this.#done) return;
    this.#host.send({ type: "unsubscribe", id: this.id });
    this.#queue.length = 0;
    this.#end();
  }

  /** Ends it here, for a reason of the client's own. */
  fail(error: unknown): void {
    if (this.#done) return;
    this.#host.send({ type: "unsubscribe", id: this.id });
    this.#refused(error);
  }

  /** What asks for it on a new connection. */
  frame(): ClientFrame {
    // What waits to be read keeps its share of the credit; where nothing is left, one frame is lent.
    const free = this.#credit - this.#queue.length;
    this.#used = Math.min(0, free - 1);
    const from = this.#received === null ? {} : { from: this.#received };
    return { type: "subscribe", id: this.id, target: this.target, credit: Math.max(1, free), ...from };
  }

  receive(frame: Extract<ServerFrame, { type: "subscribed" | "data" | "error" | "end" }>): void {
    if (this.#done) return;
    switch (frame.type) {
      case "subscribed":
        this.#received = frame.position;
        this.#rouse();
        return;
      case "data": {
        const { type: _, id: __, ...item } = frame;
        this.#received = item.position;
        this.#queue.push(item);
        this.#rouse();
        return;
      }
      case "error": {
        const { code, detail, retryAfter } = frame;
        const error = new SkerryError(code, detail, retryAfter === undefined ? {} : { retryAfter });
        if (ERRORS[code].retryable) this.#host.again(this, error);
        else this.#refused(error);
        return;
      }
      case "end":
        this.#end();
        return;
      default:
        frame satisfies never;
    }
  }

  /** Resolves once the server has confirmed the subscription: what happens from then on is told. Throws what it is refused with. */
  async ready(): Promise<void> {
    while (this.#received === null && !this.#done) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #refused(error: unknown): void {
    this.#failure = error;
    this.#end();
  }

  #account(): void {
    this.#used++;
    if (this.#used * 2 < this.#credit) return;
    this.#host.send({ type: "credit", id: this.id, n: this.#used });
    this.#used = 0;
  }

  #end(): void {
    this.#done = true;
    this.#host.closed(this);
    this.#rouse();
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
