import type { WatchCreate, WatchEvent } from "../kv/types.ts";
import type { Facts } from "./kv-responses.ts";
import { type WatchAnswer, type WatchRequest, writeWatch } from "./watch.ts";

/** Who watches the keys. Ids are this session's own, 1, 2, 3…; each `create` is answered by {@link WatchSession.created}, in their order. */
export type Watcher = {
  create(id: number, watch: WatchCreate): void;
  cancel(id: number): void;
  progress(): void;
};
/** The revision that an answer shows, and who gave it. */
export type WatchFacts = Facts & { revision: number };

const DUPLICATE = "mvcc: duplicate watch ID provided on the WatchStream";
const EMPTY = "mvcc: watcher range is empty";
/** The id that stands for no watch, or for all of them. */
const NONE = -1n;

/**
 * One client's stream of watches: his requests go to a {@link Watcher}, and what that tells becomes the lines of the answer. It has
 * the ids: his (64 bits, his choice or the next that is free) and the watcher's.
 */
export class WatchSession {
  readonly #watcher: Watcher;
  readonly #line: (line: string) => void;
  readonly #ours = new Map<bigint, number>();
  readonly #theirs = new Map<number, bigint>();
  /** What is to be answered, in the order of the requests: watches by their id, and what is known already. */
  readonly #owed: (number | ((facts: WatchFacts) => WatchAnswer))[] = [];
  #last = 0;
  #free = 0n;
  /** The newest that were heard. */
  #facts: WatchFacts;

  constructor(watcher: Watcher, line: (line: string) => void, facts: WatchFacts) {
    this.#watcher = watcher;
    this.#line = line;
    this.#facts = facts;
  }

  /** Watches that are open. */
  get size(): number {
    return this.#ours.size;
  }

  request(request: WatchRequest): void {
    switch (request.ask) {
      case "create":
        this.#create(request.id, request.create);
        return;
      case "cancel": {
        const ours = this.#ours.get(request.id);
        // His id is free again at once.
        if (ours !== undefined && this.#ours.delete(request.id)) this.#watcher.cancel(ours);
        return;
      }
      case "progress":
        this.#watcher.progress();
        return;
      case "nothing":
        return;
    }
  }

  /** @param refusal why there is no such watch, or "". */
  created(id: number, facts: WatchFacts, refusal: string): void {
    const theirs = this.#theirs.get(id);
    const at = this.#owed.indexOf(id);
    if (theirs === undefined || at < 0) return;
    this.#owed.splice(at, 1);
    if (facts.revision > this.#facts.revision) this.#facts = facts;
    if (refusal === "") this.#say(facts, { revision: facts.revision, id: theirs, created: true });
    else {
      this.#drop(id);
      this.#say(facts, refused(refusal)(facts));
    }
    this.#settle();
  }

  /** @param more whether the rest of the last revision follows in another call. */
  events(id: number, facts: WatchFacts, events: WatchEvent[], more: boolean): void {
    const theirs = this.#theirs.get(id);
    // What was under way when he canceled it is not told any more.
    if (theirs === undefined || this.#ours.get(theirs) !== id) return;
    this.#say(facts, { revision: facts.revision, id: theirs, events, fragment: more });
  }

  /** @param id null: of all watches, as asked for. */
  progress(id: number | null, facts: WatchFacts): void {
    const theirs = id === null ? NONE : this.#theirs.get(id);
    if (theirs !== undefined) this.#say(facts, { revision: facts.revision, id: theirs });
  }

  canceled(id: number, facts: WatchFacts, reason: string, compactRevision: number): void {
    const theirs = this.#theirs.get(id);
    if (theirs === undefined) return;
    this.#drop(id);
    // Of a start that is compacted etcd says no revision but that of the compaction.
    const revision = compactRevision === 0 ? facts.revision : 0;
    this.#say(facts, { revision, id: theirs, canceled: true, compactRevision, cancelReason: reason });
  }

  #create(id: bigint, asked: WatchCreate): void {
    const watch = asked.key === "" ? { ...asked, key: "\0" } : asked;
    // Refused before an id is taken.
    const empty = watch.rangeEnd !== "" && watch.rangeEnd !== "\0" && watch.key >= watch.rangeEnd;
    if (empty || (id !== 0n && this.#ours.has(id))) {
      this.#owed.push(refused(empty ? EMPTY : DUPLICATE));
      this.#settle();
      return;
    }
    const theirs = id === 0n ? this.#nextFree() : id;
    const ours = ++this.#last;
    this.#ours.set(theirs, ours);
    this.#theirs.set(ours, theirs);
    this.#owed.push(ours);
    this.#watcher.create(ours, watch);
  }

  #nextFree(): bigint {
    while (this.#ours.has(this.#free)) this.#free++;
    return this.#free++;
  }

  /** Says what is owed and known, up to the next watch that the watcher has not answered yet. */
  #settle(): void {
    for (let next = this.#owed[0]; typeof next === "function"; next = this.#owed[0]) {
      this.#owed.shift();
      this.#say(this.#facts, next(this.#facts));
    }
  }

  #drop(id: number): void {
    const theirs = this.#theirs.get(id);
    this.#theirs.delete(id);
    if (theirs !== undefined && this.#ours.get(theirs) === id) this.#ours.delete(theirs);
  }

  #say(facts: Facts, answer: WatchAnswer): void {
    this.#line(writeWatch(facts, answer));
  }
}

function refused(reason: string): (facts: WatchFacts) => WatchAnswer {
  return ({ revision }) => ({ revision, id: NONE, created: true, canceled: true, cancelReason: reason });
}
