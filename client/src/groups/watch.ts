import { readEvent } from "../../../core/consensus/socket/answers.ts";
import { writeTarget } from "../../../core/consensus/socket/spec.ts";
import type { WatchPayload } from "../../../core/consensus/socket/watches.ts";
import { parsePosition } from "../../../core/wire/resume.ts";
import type { CallOptions } from "../http.ts";
import type { Subscription } from "./subscription.ts";
import { Entry, entryOrNull, rangeOf, type Span } from "./values.ts";

export type WatchOptions = CallOptions & {
  /** Where to go on: a revision, whose successors come, or the `position` of an earlier watch. Without: from now on. */
  from?: number | string;
  /** Give each event what was there before. */
  previous?: boolean;
  /** Only these events. */
  only?: "puts" | "deletes";
  /** Changes that may wait to be read; 32 unless given, at most 256. */
  credit?: number;
};

/** `entry` of a deletion has the key and the revision alone. */
export type GroupEvent = { type: "put" | "delete"; key: string; entry: Entry; previous: Entry | null };
/** What one revision changed among the watched keys, in order. */
export type Change = { revision: number; events: GroupEvent[] };

/** An async iterator over changes, revision by revision, through reconnections and from replica to replica. `break` ends it. */
export interface GroupWatch extends AsyncIterableIterator<Change> {
  /** Where the reader is: pass it as `from` to go on. Null until the watch has begun. */
  readonly position: string | null;
  /** Resolves once the watch has begun: what happens from then on is told. */
  ready(): Promise<void>;
}

export function targetOf(span: Span, { previous = false, only }: WatchOptions): string {
  const filters = only === "puts" ? (["noDelete"] as const) : only === "deletes" ? (["noPut"] as const) : [];
  return writeTarget({ ...rangeOf(span), prevKv: previous, filters: [...filters] });
}

export class Watch implements GroupWatch {
  readonly #subscription: Subscription;
  readonly #signal: AbortSignal | undefined;
  readonly #saw: (revision: number) => void;
  #position: string | null;

  /** @param saw told of each revision that was told here. */
  constructor(subscription: Subscription, from: string | null, signal: AbortSignal | undefined, saw: (revision: number) => void) {
    this.#saw = saw;
    this.#subscription = subscription;
    this.#position = from;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  readonly #abort = () => {
    this.#subscription.fail(this.#signal?.reason);
  };

  get position(): string | null {
    return this.#position;
  }

  async ready(): Promise<void> {
    await this.#subscription.ready();
    this.#position ??= this.#subscription.position;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Change>> {
    const events: GroupEvent[] = [];
    for (;;) {
      const item = await this.#subscription.next();
      if (item === null) {
        this.#signal?.removeEventListener("abort", this.#abort);
        return { value: undefined, done: true };
      }
      const { events: given, more } = item.payload as WatchPayload;
      for (const { type, kv, prevKv } of given.map(readEvent)) {
        const entry = new Entry(kv);
        events.push({ type, key: entry.key, entry, previous: entryOrNull(prevKv) });
      }
      // A revision is whole or not told.
      if (more) continue;
      this.#position = item.position;
      const revision = parsePosition(item.position)?.at ?? 0;
      this.#saw(revision);
      // Without events it only says how far nothing happened.
      if (events.length > 0) return { value: { revision, events }, done: false };
    }
  }

  async return(): Promise<IteratorResult<Change>> {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#subscription.close();
    return { value: undefined, done: true };
  }
}
