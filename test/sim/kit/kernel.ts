import { setImmediate } from "node:timers";
import type { Random } from "./random.ts";

/** Something that runs in turns and can die between them: an object's incarnation, a Worker's invocation. */
export interface Actor {
  readonly label: string;
  readonly alive: boolean;
  /** Called once after each event in which the actor ran or said something. May schedule, may not run code of the actor. */
  endTurn(): void;
}

/** `awaits`: promise continuations may follow from it. `dropped`: it was cancelled. */
type Event = { time: number; tie: number; label: string; actor: Actor | null; run: () => void; awaits: boolean; dropped: boolean };

/** Virtual time of the first event: some time in 2023, so that a clock mistaken for a count shows. Unix milliseconds. */
export const START = 1_700_000_000_000;
const TRACE_LINES = 400;

/**
 * Virtual time and the one queue of events. An event runs some code and every promise continuation that follows from
 * it; then the actors that took part end their turn. Events of the same millisecond run in an order drawn from the seed.
 */
export class Kernel {
  now = START;
  events = 0;
  /** FNV-1a over every line of the trace: two runs of one seed must agree. */
  digest = 0x811c9dc5;
  readonly trace: string[] = [];
  onTrace: ((line: string) => void) | null = null;
  readonly #heap: Event[] = [];
  #live = 0;
  #touched = new Set<Actor>();
  readonly #ties: Random;

  constructor(random: Random) {
    this.#ties = random.fork("ties");
  }

  /** Events that are still to come. */
  get pending(): number {
    return this.#live;
  }

  /** Runs `run` after `delay` virtual milliseconds, unless `actor` has died by then. Returns what cancels it. */
  after(delay: number, label: string, actor: Actor | null, run: () => void): () => void {
    return this.#schedule(delay, label, actor, run, true);
  }

  /** As {@link after}, for code that settles no promise: nothing has to be waited for, so that a turn takes a tenth of the time. */
  turn(delay: number, label: string, actor: Actor | null, run: () => void): () => void {
    return this.#schedule(delay, label, actor, run, false);
  }

  #schedule(delay: number, label: string, actor: Actor | null, run: () => void, awaits: boolean): () => void {
    const time = this.now + Math.max(0, Math.floor(delay));
    const event: Event = { time, tie: this.#ties.next(), label, actor, run, awaits, dropped: false };
    this.#push(event);
    this.#live++;
    return () => {
      if (!event.dropped) this.#live--;
      event.dropped = true;
    };
  }

  /** Notes that an actor did something in this event, so that its turn is ended. */
  touch(actor: Actor): void {
    this.#touched.add(actor);
  }

  log(line: string): void {
    const text = `${String(this.now - START).padStart(7)} ${line}`;
    for (let i = 0; i < text.length; i++) this.digest = Math.imul(this.digest ^ text.charCodeAt(i), 0x01000193) >>> 0;
    this.trace.push(text);
    if (this.trace.length > TRACE_LINES) this.trace.shift();
    this.onTrace?.(text);
  }

  /** Runs the next event and all that follows from it at once; false if there is none. A promise only where something is awaited. */
  step(): boolean | Promise<boolean> {
    let event = this.#pop();
    // A cancelled event must not move time on.
    while (event?.dropped) event = this.#pop();
    if (event === undefined) return false;
    event.dropped = true;
    this.#live--;
    this.now = event.time;
    if (event.actor !== null && !event.actor.alive) return true;
    this.events++;
    if (event.label !== "") this.log(event.label);
    if (event.actor !== null) this.#touched.add(event.actor);
    event.run();
    if (event.awaits) return this.#settle();
    this.endTurns();
    return true;
  }

  async #settle(): Promise<boolean> {
    await this.drain();
    this.endTurns();
    return true;
  }

  /** Lets every promise continuation run. Nothing here does real I/O, so one turn of the event loop is enough. */
  drain(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  endTurns(): void {
    for (const actor of this.#touched) {
      this.#touched.delete(actor);
      actor.endTurn();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.tie < b.tie);
}
