import type { Message, NodeId } from "../raft/types.ts";
import { type Envelope, encodeEnvelope } from "./envelope.ts";
import { earliest, Link } from "./link.ts";
import { isAfter, isOver, mayHaveLived, nextLife } from "./lives.ts";
import type { ReplicaLimits, ReplicaTiming } from "./options.ts";
import type { ReplicaStorage } from "./storage.ts";

/** A call to a peer's `step`. Tell the replica what came back, by its number. */
export type Call = { call: number; to: NodeId; bytes: Uint8Array };
/** What the head of an envelope says of its sender, beside what the storage knows. */
export type Head = { leader: NodeId; term: number; commit: number; watching: boolean; fence: boolean };

/** The other replicas: what is said to them, what they said of themselves, and whether they may be believed (SPEC, incarnations). */
export class Peers {
  readonly #id: NodeId;
  readonly #storage: ReplicaStorage;
  readonly #timing: ReplicaTiming;
  readonly #limits: ReplicaLimits;
  readonly #format: number;
  readonly #links = new Map<NodeId, Link>();
  /** The end of the log when this replica woke. */
  readonly #woke: { index: number; term: number };
  #lastCall = 0;
  /** A peer that was refused is told by which incarnation. */
  readonly #superseded = new Map<NodeId, number>();
  /** Peers that know this incarnation. */
  readonly #acquainted = new Set<NodeId>();

  constructor(id: NodeId, storage: ReplicaStorage, timing: ReplicaTiming, limits: ReplicaLimits, format: number) {
    this.#id = id;
    this.#storage = storage;
    this.#timing = timing;
    this.#limits = limits;
    this.#format = format;
    const index = storage.lastIndex();
    this.#woke = { index, term: storage.term(index) };
  }

  link(id: NodeId): Link {
    let link = this.#links.get(id);
    if (link === undefined) {
      link = new Link(id, this.#timing, this.#limits.calls);
      this.#links.set(id, link);
    }
    return link;
  }

  all(): Iterable<Link> {
    return this.#links.values();
  }

  place(id: NodeId): string {
    const { state } = this.#storage;
    return id === this.#id ? state.place : (state.peers.get(id)?.place ?? "");
  }

  /**
   * Takes down what a peer says of itself. False: it is an older incarnation than one known, or does not remember that
   * one, or lost what it had acknowledged. Nothing it says counts, and it is told so. `leading`: the term that this replica leads, -1 for none.
   */
  receive(envelope: Envelope, now: number, leading: number): boolean {
    const { from, incarnation } = envelope;
    if (envelope.to !== this.#id) return false;
    const known = this.#storage.state.peers.get(from) ?? { incarnation: 0, place: "" };
    if (isOver(incarnation, known.incarnation) || !mayHaveLived(envelope.lives, incarnation, known.incarnation)) {
      this.#superseded.set(from, known.incarnation);
      return false;
    }
    const link = this.link(from);
    const isNew = isAfter(incarnation, known.incarnation);
    if (isNew && envelope.leaderTerm === leading && envelope.lastIndex < link.acked) {
      // It acknowledged more in this very term, in which nothing replaces it: its storage was rolled back within one incarnation.
      const burnt = nextLife(incarnation, () => 0);
      this.#remember(from, burnt, known.place);
      this.#superseded.set(from, burnt);
      return false;
    }
    if (isNew || (envelope.place !== "" && envelope.place !== known.place)) {
      this.#remember(from, incarnation, envelope.place === "" ? known.place : envelope.place);
    }
    this.#superseded.delete(from);
    for (const [id, seen] of envelope.seen) {
      if (id === this.#id && seen === this.#storage.state.incarnation) this.#acquainted.add(from);
      const record = this.#storage.state.peers.get(id);
      if (id !== this.#id && isAfter(seen, record?.incarnation ?? 0)) this.#remember(id, seen, record?.place ?? "");
    }
    link.heard(now, envelope.commit);
    link.watching = envelope.watching;
    link.format = envelope.format;
    return true;
  }

  /** Whether the sender knows an incarnation of this replica that is later than this one, or that this one does not remember. */
  supersedes(envelope: Envelope): boolean {
    const { incarnation, lives } = this.#storage.state;
    // A peer that has not heard of this life yet knows an earlier one, which is no news.
    const over = (known: number) => known !== 0 && (isOver(incarnation, known) || !mayHaveLived(lives, incarnation, known));
    return over(envelope.superseded) || envelope.seen.some(([id, seen]) => id === this.#id && over(seen));
  }

  /** What a replica that was refused is told, whatever it asked. */
  refusal(to: NodeId, head: Head): Uint8Array {
    return this.#encode(to, head, []);
  }

  /** The answer to a call of `to`: all that there is to say to it. */
  answer(to: NodeId, head: Head, more: Pick<Envelope, "receipt">): Uint8Array {
    const link = this.link(to);
    const bytes = this.#encode(to, head, link.take(), { asks: link.asks, answers: link.answers, ...more });
    link.asks = [];
    link.answers = [];
    return bytes;
  }

  /** The calls that are due. */
  calls(head: Head, now: number): Call[] {
    const calls: Call[] = [];
    for (const link of this.#links.values()) {
      while (link.ready(now)) {
        const transfer = link.transfer?.due ? link.transfer.take() : null;
        const messages = link.take();
        if (transfer?.message) messages.push(transfer.message);
        const { asks, answers } = link;
        link.asks = [];
        link.answers = [];
        const bytes = this.#encode(link.id, head, messages, { asks, answers, chunk: transfer?.chunk ?? null });
        const call = ++this.#lastCall;
        link.called(call, now);
        calls.push({ call, to: link.id, bytes });
      }
    }
    return calls;
  }

  /** The link whose call this is; null for one that nobody waits for. */
  ended(call: number, now: number): Link | null {
    for (const link of this.#links.values()) if (link.ended(call, now)) return link;
    return null;
  }

  /** How long the slowest of those that answer takes. */
  roundTrip(now: number): number {
    let slowest = 0;
    for (const link of this.#links.values()) if (!link.isDown(now)) slowest = Math.max(slowest, link.roundTrip);
    return slowest;
  }

  deadline(): number | null {
    return earliest([...this.#links.values()].map((link) => link.deadline()));
  }

  #remember(id: NodeId, incarnation: number, place: string): void {
    const peers = new Map(this.#storage.state.peers);
    peers.set(id, { incarnation, place });
    this.#storage.setState({ peers });
  }

  #encode(to: NodeId, head: Head, messages: Message[], more: Partial<Envelope> = {}): Uint8Array {
    const { incarnation, lives, place, peers } = this.#storage.state;
    return encodeEnvelope({
      from: this.#id,
      to,
      incarnation,
      leader: head.leader,
      leaderTerm: head.term,
      commit: head.commit,
      lastIndex: this.#woke.index,
      lastTerm: this.#woke.term,
      watching: head.watching,
      fence: head.fence,
      superseded: this.#superseded.get(to) ?? 0,
      format: this.#format,
      lives: this.#acquainted.has(to) ? [] : lives,
      place,
      seen: [...peers].map(([id, record]) => [id, record.incarnation]),
      messages,
      asks: [],
      answers: [],
      chunk: null,
      receipt: null,
      ...more,
    });
  }
}
