import { SkerryError } from "./errors.ts";
import { type CallFrame, type CallResult, resultFrame, resultText } from "./frames.ts";

/** Calls of one socket that may be under way. */
export const MAX_UNDER_WAY = 1024;
/** Bytes of results that a client may leave unread before its calls are refused: what a client that never reads can make an isolate hold. */
export const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
/** Characters of results after which a frame is full; one result alone may have more. */
const FRAME_CHARACTERS = 256 * 1024;

/** What all sockets of an object together may have under way: calls, and characters of their frames. */
export type CallLimits = { calls: number; characters: number };
export const CALL_LIMITS: CallLimits = { calls: 16_384, characters: 24 * 1024 * 1024 };

/** The load of one object, shared by the desks of its sockets. */
export class CallLoad {
  readonly limits: CallLimits;
  calls = 0;
  characters = 0;

  constructor(limits: CallLimits = CALL_LIMITS) {
    this.limits = limits;
  }

  get full(): boolean {
    return this.calls >= this.limits.calls || this.characters >= this.limits.characters;
  }
}

/** A call to be answered by {@link CallDesk.settle} with its id. */
export type Call = { id: number; payload: unknown };

/**
 * The server's side of the calls of one socket, without I/O: what is under way, what is settled and not yet sent. It lives in
 * memory alone: a call whose answer never comes is the client's to repeat. See SPEC.md, rules WC.
 */
export class CallDesk {
  readonly #load: CallLoad;
  /** Characters by id. */
  readonly #underWay = new Map<number, number>();
  #settled: string[] = [];
  /** Bytes of the result frames not known to be read, oldest first, and how many the client had read before them. */
  readonly #unread: number[] = [];
  #unreadBytes = 0;
  #read: number | null = null;

  constructor(load: CallLoad) {
    this.#load = load;
  }

  /** Calls under way. */
  get size(): number {
    return this.#underWay.size;
  }

  /**
   * Takes a frame's calls; `characters` is the length of its text. Those beyond a limit are settled at once, with `overloaded`
   * or `slow_consumer`. Throws `bad_frame` where an id is under way already: close the socket.
   */
  admit(frame: CallFrame, characters: number): Call[] {
    this.#heard(frame.read ?? this.#read ?? 0);
    const share = Math.ceil(characters / frame.calls.length);
    const admitted: Call[] = [];
    frame.calls.forEach((payload, i) => {
      const id = frame.id + i;
      if (this.#underWay.has(id)) throw new SkerryError("bad_frame", `Call ${id} is under way; wait for its result or choose another id.`);
      const refusal = this.#refusal();
      if (refusal !== null) {
        this.#push({ id, error: refusal });
        return;
      }
      this.#underWay.set(id, share);
      this.#load.calls++;
      this.#load.characters += share;
      admitted.push({ id, payload });
    });
    return admitted;
  }

  /** A call's outcome. One that is not under way (any more) is ignored. */
  settle(result: CallResult): void {
    if (this.#release(result.id)) this.#push(result);
  }

  /** The frames of what is settled, as few as there can be; send them all. */
  drain(): string[] {
    const frames: string[] = [];
    let batch: string[] = [];
    let size = 0;
    const flush = () => {
      if (batch.length === 0) return;
      const text = resultFrame(batch);
      frames.push(text);
      // Close enough to its bytes, without encoding what may be large.
      this.#unread.push(text.length);
      this.#unreadBytes += text.length;
      batch = [];
      size = 0;
    };
    for (const text of this.#settled) {
      if (size > 0 && size + text.length > FRAME_CHARACTERS) flush();
      batch.push(text);
      size += text.length;
    }
    flush();
    this.#settled = [];
    return frames;
  }

  /** The socket is gone: what is under way is nobody's. */
  close(): void {
    for (const id of [...this.#underWay.keys()]) this.#release(id);
    this.#settled = [];
  }

  /** The client has read so many frames of this socket; before this desk was made it may have read others. */
  #heard(read: number): void {
    for (let from = this.#read ?? read; from < read && this.#unread.length > 0; from++) this.#unreadBytes -= this.#unread.shift() as number;
    this.#read = Math.max(read, this.#read ?? 0);
  }

  #refusal() {
    if (this.#unreadBytes > MAX_UNREAD_BYTES) {
      const detail = 'Too many results are unread: read them, and say so by "read" of the next call frame.';
      return { code: "slow_consumer", detail, retryAfter: 1 } as const;
    }
    if (this.#underWay.size >= MAX_UNDER_WAY) {
      return {
        code: "overloaded",
        detail: `A socket may have ${MAX_UNDER_WAY} calls under way; wait for results.`,
        retryAfter: 1,
      } as const;
    }
    if (this.#load.full) return { code: "overloaded", detail: "The object has too many calls under way.", retryAfter: 1 } as const;
    return null;
  }

  #release(id: number): boolean {
    const characters = this.#underWay.get(id);
    if (characters === undefined) return false;
    this.#underWay.delete(id);
    this.#load.calls--;
    this.#load.characters -= characters;
    return true;
  }

  #push(result: CallResult): void {
    this.#settled.push(resultText(result));
  }
}
