import { NO_NODE, type NodeId } from "../raft/types.ts";
import type { OpenAsk } from "./asks.ts";
import type { Core } from "./core.ts";

type Waiting = { ask: OpenAsk; serve: () => void };
type Barrier = { id: number; leader: NodeId; begun: number; waiting: Waiting[] };

/**
 * How a follower answers reads that may trail by so much: it asks the leader, which makes sure that it leads, how far one must have
 * applied to show all that was committed when the question left. The answer is good for all reads of the follower for a while.
 */
export class Freshness {
  readonly #core: Core;
  #next: Waiting[] = [];
  #asked: Barrier | null = null;
  /** Answered; to be served once `index` is applied. */
  #answered: (Barrier & { index: number })[] = [];
  #ids = 0;
  /** All that was committed at this time, by this replica's own clock, is applied. */
  #freshAt = Number.NEGATIVE_INFINITY;

  constructor(core: Core) {
    this.#core = core;
  }

  /** What is applied shows all that was committed `ms` ago. */
  within(ms: number): boolean {
    const led = this.#core.leading?.reads.freshAt ?? Number.NEGATIVE_INFINITY;
    return this.#core.now - Math.max(this.#freshAt, led) <= ms;
  }

  ask(ask: OpenAsk, serve: () => void): void {
    this.#next.push({ ask, serve });
  }

  /** The leader's answer; `index` 0: it does not lead. */
  answer(id: number, index: number): void {
    const asked = this.#asked;
    if (asked?.id !== id) return;
    this.#asked = null;
    if (index > 0) this.#answered.push({ ...asked, index });
    else this.#doubt(asked);
  }

  /** Whom it asked does not lead, or says nothing: those who wait must find another. */
  #doubt(asked: Barrier): void {
    for (const { ask } of asked.waiting) ask.hint = { silent: asked.leader };
    this.#next = [...asked.waiting, ...this.#next];
  }

  /** Asks, serves, and hands those whose leader is gone or silent to `seek`; who is not `wanted` any more was answered. */
  pump(seek: (ask: OpenAsk) => void, wanted: (id: number) => boolean): void {
    const { knownLeader: leader, leading, now, machine, peers, timing } = this.#core;
    while (this.#answered.length > 0 && this.#answered[0]!.index <= machine.applied) {
      const { begun, waiting } = this.#answered.shift()!;
      if (begun > this.#freshAt) this.#freshAt = begun;
      for (const { serve } of waiting) serve();
    }
    const asked = this.#asked;
    if (asked !== null && (asked.leader !== leader || now - asked.begun >= timing.call / 2 || peers.link(leader).failures > 0)) {
      this.#asked = null;
      this.#doubt(asked);
    }
    this.#next = this.#next.filter(({ ask }) => wanted(ask.id));
    if (this.#next.length === 0) return;
    const silent = this.#next.some(({ ask }) => ask.hint.silent === leader && leader !== NO_NODE);
    if (leader === NO_NODE || leading !== null || silent) {
      const gone = this.#next;
      this.#next = [];
      for (const { ask } of gone) seek(ask);
    } else if (this.#asked === null) {
      this.#asked = { id: ++this.#ids, leader, begun: now, waiting: this.#next };
      this.#next = [];
      peers.link(leader).asks.push(this.#asked.id);
    }
  }

  /** When {@link pump} has to look again; null: not by time alone. */
  deadline(): number | null {
    return this.#asked === null ? null : this.#asked.begun + this.#core.timing.call / 2;
  }
}
