import { errorOfCall } from "../../../core/consensus/socket/call-errors.ts";
import { ERRORS, SkerryError } from "../../../core/wire/errors.ts";
import { type CallResult, callFrame, MAX_CALL_FRAME_BYTES } from "../../../core/wire/frames.ts";
import { backoff, type Runtime } from "../runtime.ts";

/** Calls under way on one connection; the server takes a few more. */
const MAX_UNDER_WAY = 1000;
/** A frame is full at so many characters; one call alone may have more. */
const FRAME_CHARACTERS = 384 * 1024;
/** Whoever was just answered asks again within so many turns of the microtask queue, and what is asked goes in one frame. */
const SETTLING_TURNS = 12;
const SWEEP_MS = 50;
const MAX_ID = 2 ** 31 - 1;

export type CallRequest = {
  /** The payload, a JSON object. */
  text: string;
  /** Milliseconds after which whoever asked is told that there is no answer. */
  timeout: number;
  signal?: AbortSignal | undefined;
  /** The server has refused it, and it surely did not happen before: whether to send it again, changed. Only asked of the first answer. */
  mend?: (error: SkerryError) => string | null;
};

/** The connection under the calls. */
export type CallHost = {
  /** Whether there is an open connection; if not, `start` sees to one. */
  readonly ready: boolean;
  start(): void;
  send(text: string): void;
  /** A replica that was taken for the leader and did not answer; 0: none. */
  readonly silent: number;
  /** Another replica leads (0: nobody knows which); returns how long to wait before the call is sent again. */
  notLeader(leader: number): number;
  answered(): void;
  /** How long the first answer to what was sent at a time took, in milliseconds. */
  measured(ms: number): void;
  /** Time passes while calls are under way; `waited`: since the last word, or since there is something to wait for. */
  patience(waited: number): void;
  idle(): void;
};

type Pending = {
  text: string;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
  mend: ((error: SkerryError) => string | null) | undefined;
  began: number;
  deadline: number;
  attempts: number;
  last: SkerryError | null;
  /** Under which it is under way; 0: it is not. */
  id: number;
  settled: boolean;
};

/**
 * The calls of one socket: those asked in the same turn leave in one frame; an answer may come in any order; what a broken
 * connection left unanswered, or a replica could not do now, is sent again until its time is over. Whoever calls sees to it that
 * again does no harm.
 */
export class Calls {
  readonly #runtime: Runtime;
  readonly #host: CallHost;
  #waiting: Pending[] = [];
  /** By id, in the order in which they were sent. */
  readonly #underWay = new Map<number, Pending>();
  /** Waiting for a time to be sent again. */
  readonly #resting = new Set<Pending>();
  #nextId = 1;
  #read = 0;
  #scheduled = false;
  #heardAt = 0;
  /** When the first of what is under way left; null: its time was taken. */
  #sentAt: number | null = null;
  #cancelSweep: (() => void) | null = null;

  constructor(runtime: Runtime, host: CallHost) {
    this.#runtime = runtime;
    this.#host = host;
  }

  /** Calls that are not settled. */
  get size(): number {
    return this.#waiting.length + this.#underWay.size + this.#resting.size;
  }

  /** Throws what the server refuses with; `unavailable`, or the last reason, once the time is over; the signal's reason. */
  add({ text, timeout, signal, mend }: CallRequest): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (text.length * 2 > MAX_CALL_FRAME_BYTES && new TextEncoder().encode(text).length > MAX_CALL_FRAME_BYTES - 100)
      return Promise.reject(new SkerryError("too_large", `A request may have ${MAX_CALL_FRAME_BYTES} bytes.`));
    const now = this.#runtime.now();
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        text,
        resolve,
        reject,
        mend,
        began: now,
        deadline: now + timeout,
        attempts: 0,
        last: null,
        id: 0,
        settled: false,
      };
      if (signal !== undefined) {
        const abort = () => this.#settle(pending, () => reject(signal.reason));
        signal.addEventListener("abort", abort, { once: true });
        pending.resolve = (value) => {
          signal.removeEventListener("abort", abort);
          resolve(value);
        };
        pending.reject = (reason) => {
          signal.removeEventListener("abort", abort);
          reject(reason);
        };
      }
      this.#waiting.push(pending);
      this.#schedule();
    });
  }

  /** The connection is open: sends what waits. */
  connected(): void {
    this.#heardAt = this.#runtime.now();
    // The server counts the frames of one socket.
    this.#read = 0;
    this.#flush();
  }

  /** An attempt to connect has begun. */
  connecting(): void {
    this.#heardAt = this.#runtime.now();
  }

  /** The connection is gone: what was under way is sent again on the next. */
  lost(): void {
    this.#waiting = [...this.#underWay.values(), ...this.#waiting];
    for (const pending of this.#underWay.values()) pending.id = 0;
    this.#underWay.clear();
    this.#sentAt = null;
  }

  /** No attempt will help: nothing that waits can be answered. */
  fail(error: unknown): void {
    this.lost();
    for (const pending of [...this.#waiting, ...this.#resting]) this.#settle(pending, () => pending.reject(error));
  }

  results(results: readonly CallResult[]): void {
    this.#read++;
    this.#heardAt = this.#runtime.now();
    if (this.#sentAt !== null) this.#host.measured(this.#heardAt - this.#sentAt);
    this.#sentAt = null;
    // A frame's calls went to one replica, and go to the next together: by how long to wait before that.
    const again = new Map<number, Pending[]>();
    let wait: number | null = null;
    const elsewhere = (leader: number) => {
      wait ??= this.#host.notLeader(leader);
      return wait;
    };
    for (const result of results) {
      const pending = this.#underWay.get(result.id);
      // Given up meanwhile.
      if (pending === undefined) continue;
      this.#underWay.delete(result.id);
      pending.id = 0;
      if ("value" in result) {
        this.#host.answered();
        this.#settle(pending, () => pending.resolve(result.value));
        continue;
      }
      const ms = this.#retry(pending, errorOfCall(result.error), elsewhere);
      if (ms === null) continue;
      const together = again.get(ms);
      if (together === undefined) again.set(ms, [pending]);
      else together.push(pending);
    }
    for (const [ms, pendings] of again) this.#rest(pendings, ms);
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Milliseconds after which the call is to be sent again; null: it is settled. */
  #retry(pending: Pending, error: SkerryError, elsewhere: (leader: number) => number): number | null {
    const { code } = error;
    if (code === "not_leader") {
      pending.last = error;
      return elsewhere(Number(error.extra?.leader ?? 0));
    }
    const mended = pending.attempts === 1 ? (pending.mend?.(error) ?? null) : null;
    if (mended !== null) {
      pending.text = mended;
      pending.attempts = 0;
      return 0;
    }
    if (!ERRORS[code].retryable) {
      this.#settle(pending, () => pending.reject(error));
      return null;
    }
    pending.last = error;
    return Math.max((error.retryAfter ?? 0) * 1000, backoff(this.#runtime, pending.attempts, 20, 1000));
  }

  #rest(pendings: Pending[], ms: number): void {
    if (ms <= 0) {
      this.#waiting = [...pendings, ...this.#waiting];
      return;
    }
    for (const pending of pendings) this.#resting.add(pending);
    this.#runtime.timer(ms, () => {
      const left = pendings.filter((pending) => this.#resting.delete(pending));
      if (left.length === 0) return;
      this.#waiting = [...left, ...this.#waiting];
      this.#schedule();
    });
  }

  #settle(pending: Pending, say: () => void): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#resting.delete(pending);
    if (pending.id !== 0) this.#underWay.delete(pending.id);
    say();
    if (this.#waiting.includes(pending)) this.#waiting = this.#waiting.filter((each) => each !== pending);
    if (this.size === 0) this.#host.idle();
  }

  /** Sends once whoever is about to ask has asked. */
  #schedule(): void {
    this.#arm();
    if (this.#scheduled) return;
    this.#scheduled = true;
    const settle = async () => {
      for (let turns = 0, seen = 0; turns < SETTLING_TURNS; turns++) {
        if (this.#waiting.length > seen) {
          seen = this.#waiting.length;
          turns = 0;
        }
        await null;
      }
      this.#scheduled = false;
      this.#flush();
    };
    void settle();
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    if (!this.#host.ready) {
      this.#host.start();
      return;
    }
    const now = this.#runtime.now();
    if (this.#underWay.size === 0) this.#heardAt = now;
    const count = Math.min(this.#waiting.length, MAX_UNDER_WAY - this.#underWay.size);
    if (count <= 0) return;
    this.#sentAt ??= now;
    const leaving = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    const { silent } = this.#host;
    let texts: string[] = [];
    let size = 0;
    const send = () => {
      if (texts.length > 0) this.#host.send(callFrame(this.#nextId - texts.length, this.#read, texts));
      texts = [];
      size = 0;
    };
    for (const pending of leaving) {
      const text = silent === 0 ? pending.text : `${pending.text.slice(0, -1)},"silent":${silent}}`;
      // Ids of a frame follow one on the other, so it ends where they begin anew.
      if (this.#nextId > MAX_ID) {
        send();
        this.#nextId = 1;
      }
      if (size > 0 && size + text.length > FRAME_CHARACTERS) send();
      pending.attempts++;
      pending.id = this.#nextId++;
      this.#underWay.set(pending.id, pending);
      texts.push(text);
      size += text.length;
    }
    send();
  }

  /** While anything is not settled, looks from time to time whose time is over. */
  #arm(): void {
    this.#cancelSweep ??= this.#runtime.timer(SWEEP_MS, () => {
      this.#cancelSweep = null;
      const now = this.#runtime.now();
      for (const pending of [...this.#waiting, ...this.#underWay.values(), ...this.#resting]) {
        if (now >= pending.deadline) this.#settle(pending, () => pending.reject(late(pending, now)));
      }
      if (this.size === 0) return;
      this.#arm();
      if (this.#underWay.size > 0 || this.#waiting.length > 0) this.#host.patience(now - this.#heardAt);
    });
  }
}

/** The time is over: the last reason, and whether the request may have been done all the same. */
function late({ began, last, attempts }: Pending, now: number): SkerryError {
  const reason = last === null ? "the group did not answer" : last.message;
  const extra = { ...last?.extra, inDoubt: attempts > 0 };
  const options = { extra, ...(last !== null && { cause: last }) };
  return new SkerryError(last?.code ?? "unavailable", `Not done within ${Math.round(now - began)} ms: ${reason}`, options);
}
