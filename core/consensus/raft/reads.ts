/**
 * Linearizable reads without an entry (section 6.4 of the dissertation). A read's round is confirmed once a quorum has
 * acknowledged, after the read began, that this node leads. Rounds have positions; who acknowledges one acknowledges all
 * before it. A round's mark carries a number that is random for every start of a node, so that an answer to a former start of
 * the same node in the same term confirms nothing.
 */
import { NO_BYTES } from "./messages.ts";
import type { Acknowledged } from "./quorum.ts";
import type { NodeId } from "./types.ts";

export type ReadRequest = {
  /** Who gets the answer. */
  from: NodeId;
  context: Uint8Array;
  /** The commit index when the round began; nothing before that. */
  index: number;
  /** This node's own vote counts for it. */
  fenced: boolean;
};

const MARK_BYTES = 10;

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export class ReadRounds {
  /** 32 bits. */
  readonly #nonce: number;
  /** Asked before the leader knew what is committed: they wait, their round has not begun. */
  waiting: ReadRequest[] = [];
  /** Rounds that are not confirmed; the first has position `#confirmed + 1`. */
  #rounds: ReadRequest[] = [];
  #confirmed = 0;
  readonly #acks = new Map<NodeId, number>();
  readonly acknowledged: Acknowledged = (id) => this.#acks.get(id);
  /** A round began that no heartbeat has carried yet. */
  unsent = false;

  constructor(nonce: number) {
    this.#nonce = nonce;
  }

  get count(): number {
    return this.waiting.length + this.#rounds.length;
  }

  get rounds(): number {
    return this.#rounds.length;
  }

  /** A new term: nothing that was asked is answered. */
  clear(): void {
    this.waiting = [];
    this.#confirmed = this.position();
    this.#rounds = [];
    this.#acks.clear();
    this.unsent = false;
  }

  /** The position of the newest round. Positions are never reused, not even in another term. */
  position(): number {
    return this.#confirmed + this.#rounds.length;
  }

  begin(request: ReadRequest, commit: number, self: NodeId): void {
    request.index = commit;
    this.#rounds.push(request);
    this.unsent = true;
    if (request.fenced) this.#acks.set(self, this.position());
  }

  /** The own vote counts for the request with this context and for all older ones. False if there is none such. */
  fence(context: Uint8Array, self: NodeId): boolean {
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      if (!sameBytes(this.waiting[i]!.context, context)) continue;
      for (let older = 0; older <= i; older++) this.waiting[older]!.fenced = true;
      this.#fenceRounds(this.#rounds.length, self);
      return true;
    }
    for (let i = this.#rounds.length - 1; i >= 0; i--) {
      if (!sameBytes(this.#rounds[i]!.context, context)) continue;
      this.#fenceRounds(i + 1, self);
      return true;
    }
    return false;
  }

  #fenceRounds(count: number, self: NodeId): void {
    for (let i = 0; i < count; i++) this.#rounds[i]!.fenced = true;
    this.#acks.set(self, Math.max(this.#acks.get(self) ?? 0, this.#confirmed + count));
  }

  /** The newest request in which the own vote does not count. */
  unfenced(): Uint8Array | null {
    const newest = this.waiting.at(-1) ?? this.#rounds.at(-1);
    return newest === undefined || newest.fenced ? null : newest.context;
  }

  /** What a heartbeat carries, to be acknowledged: nothing while no round waits. */
  mark(): Uint8Array {
    if (this.#rounds.length === 0) return NO_BYTES;
    const mark = new Uint8Array(MARK_BYTES);
    writeNumber(mark, 0, 4, this.#nonce);
    writeNumber(mark, 4, MARK_BYTES, this.position());
    return mark;
  }

  /** False if the mark is not one of this start of this node. */
  acknowledge(from: NodeId, mark: Uint8Array): boolean {
    if (mark.length !== MARK_BYTES || readNumber(mark, 0, 4) !== this.#nonce) return false;
    const position = readNumber(mark, 4, MARK_BYTES);
    if (position > this.position()) return false;
    if (position > (this.#acks.get(from) ?? 0)) this.#acks.set(from, position);
    return true;
  }

  /** Takes out the requests up to `position`, which a quorum has acknowledged. */
  confirm(position: number): ReadRequest[] {
    if (position <= this.#confirmed) return [];
    const done = this.#rounds.splice(0, Math.min(position, this.position()) - this.#confirmed);
    this.#confirmed += done.length;
    return done;
  }
}

function writeNumber(bytes: Uint8Array, from: number, to: number, value: number): void {
  let left = value;
  for (let i = from; i < to; i++) {
    bytes[i] = left % 256;
    left = Math.floor(left / 256);
  }
}

function readNumber(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let i = to - 1; i >= from; i--) value = value * 256 + bytes[i]!;
  return value;
}
