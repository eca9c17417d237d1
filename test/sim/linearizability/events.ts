import { isAnswered, type Operation } from "./history.ts";

const NONE = -1;

/** The calls and answers of what is not linearized yet, in their order, doubly linked: an operation is taken out and put back. */
export class EventList {
  /** By operation: the places of its call and its answer, if it has one. Place 0 is before the first event. */
  readonly #call: Int32Array;
  readonly #return: Int32Array;
  /** By place: the operation called or answered there. */
  readonly #ops: Int32Array;
  readonly #isCall: Uint8Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #end: number;
  /** Operations of unknown outcome, in the order of their calls; they are in no list, only in or out. */
  readonly #unknown: number[] = [];
  readonly #out: Uint8Array;

  constructor(operations: readonly Operation<unknown, unknown>[]) {
    const events: { time: number; op: number; isReturn: boolean }[] = [];
    operations.forEach((operation, op) => {
      if (!(operation.call <= operation.return)) throw new RangeError(`Operation ${op} is answered before it is called.`);
      events.push({ time: operation.call, op, isReturn: false });
      if (isAnswered(operation)) events.push({ time: operation.return, op, isReturn: true });
    });
    events.sort((a, b) => a.time - b.time || Number(a.isReturn) - Number(b.isReturn));
    this.#end = events.length + 1;
    this.#call = new Int32Array(operations.length);
    this.#return = new Int32Array(operations.length).fill(NONE);
    this.#out = new Uint8Array(operations.length);
    this.#ops = new Int32Array(this.#end + 1).fill(NONE);
    this.#isCall = new Uint8Array(this.#end + 1);
    this.#next = new Int32Array(this.#end + 1).fill(this.#end);
    this.#previous = new Int32Array(this.#end + 1);
    let last = 0;
    events.forEach(({ op, isReturn }, i) => {
      const place = i + 1;
      if (isReturn) this.#return[op] = place;
      else this.#call[op] = place;
      if (!isReturn && !isAnswered(operations[op] as Operation<unknown, unknown>)) {
        this.#unknown.push(op);
        return;
      }
      this.#ops[place] = op;
      if (!isReturn) this.#isCall[place] = 1;
      this.#next[last] = place;
      this.#previous[place] = last;
      last = place;
    });
    this.#next[last] = this.#end;
    this.#previous[this.#end] = last;
  }

  /** What may come next: the operations called before the first answer that is left, those of known outcome first. */
  frontier(): { candidates: number[]; firstAnswered: number; place: number } {
    const candidates: number[] = [];
    let place = this.#next[0] as number;
    for (; this.#isCall[place] === 1; place = this.#next[place] as number) candidates.push(this.#ops[place] as number);
    for (const op of this.#unknown) {
      if ((this.#call[op] as number) > place) break;
      if (this.#out[op] === 0) candidates.push(op);
    }
    return { candidates, firstAnswered: this.#ops[place] as number, place };
  }

  remove(op: number): void {
    this.#out[op] = 1;
    if (this.#return[op] === NONE) return;
    this.#unlink(this.#call[op] as number);
    this.#unlink(this.#return[op] as number);
  }

  /** Undoes the last `remove` that was not undone. */
  restore(op: number): void {
    this.#out[op] = 0;
    if (this.#return[op] === NONE) return;
    this.#link(this.#return[op] as number);
    this.#link(this.#call[op] as number);
  }

  #unlink(place: number): void {
    const [before, after] = [this.#previous[place] as number, this.#next[place] as number];
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  #link(place: number): void {
    this.#next[this.#previous[place] as number] = place;
    this.#previous[this.#next[place] as number] = place;
  }
}
