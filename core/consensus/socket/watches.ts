import { SkerryError } from "../../wire/errors.ts";
import { type DataItem, MAX_DATA_FRAME_BYTES, type StreamPosition } from "../../wire/frames.ts";
import { formatPosition, type LogPosition, parsePosition } from "../../wire/resume.ts";
import { type Ask, type Publication, publication, type Reply } from "../../wire/session.ts";
import { SpanIndex } from "../kv/spans.ts";
import type { KvStore } from "../kv/store.ts";
import { KvError, type WatchEvent } from "../kv/types.ts";
import { writeEvent } from "./answers.ts";
import { errorOfKv } from "./errors.ts";
import type { Members } from "./reading.ts";
import { readTarget, type WatchSpec } from "./spec.ts";

/**
 * The payload of a data frame: events in order, `more` where those of the last revision go on in the next frame. Without events
 * it only tells how far nothing happened.
 */
export type WatchPayload = { events: Members[]; more?: true };
export type WatchSource = Pick<KvStore, "revision" | "compactRevision" | "eventsFrom">;

/** Characters after which a frame is full; one event alone may take more. */
const FRAME_CHARACTERS = 256 * 1024;
/** Revisions without an event of the watch after which it is told that nothing happened, so that it need not look through them again. */
const SILENT_REVISIONS = 1000;

type Target = WatchSpec & { name: string };

/**
 * The targets of the sockets of one replica: what a subscriber that is behind reads, and what one that is at the present is
 * sent. A target is matched and serialised once however many follow it. See SPEC.md, rules GW.
 */
export class WatchTargets {
  readonly #source: () => WatchSource;
  readonly #generation: string;
  readonly #targets = new Map<string, Target>();
  readonly #spans = new SpanIndex<Target>();

  /** @param generation of the group: a position of another group of the same name is none of this one. */
  constructor(source: () => WatchSource, generation: number) {
    this.#source = source;
    this.#generation = `g${generation}`;
  }

  get size(): number {
    return this.#targets.size;
  }

  /** What follows a subscriber's position; from now on {@link apply} tells of the target. Throws `bad_request`, `revision_compacted`. */
  read(ask: Ask): Reply {
    const target = this.#open(ask.target);
    const store = this.#source();
    const head = store.revision;
    if (ask.from === null) return { mode: "resume", position: this.#position({ at: head }), items: [], more: false };
    const from = this.#parse(ask.from);
    const items: DataItem[] = [];
    const reply = (more: boolean): Reply => ({ mode: "resume", position: ask.from as string, items, more, most: MAX_DATA_FRAME_BYTES });
    // Within a revision, `at` is the one that is not yet delivered whole.
    let next = from.cursor === undefined ? from.at + 1 : from.at;
    let skip = from.cursor === undefined ? 0 : Number(from.cursor);
    const began = next;
    while (next <= head) {
      const page = this.#page(store, target, next);
      const events = page.events.slice(skip);
      skip = 0;
      for (const [revision, of] of byRevision(events)) {
        const before = from.cursor !== undefined && revision === from.at ? Number(from.cursor) : 0;
        this.#frames(target, revision, of, before, items, ask.limit);
        if (items.length >= ask.limit) return reply(true);
      }
      next = page.next;
    }
    const silent = head - (items.length === 0 ? began : (parsePosition(items.at(-1)!.position)?.at ?? began));
    if (silent >= SILENT_REVISIONS && items.length < ask.limit)
      items.push({ position: this.#position({ at: head }), kind: "delta", payload: { events: [] } satisfies WatchPayload });
    return reply(false);
  }

  /** A revision was applied: what to publish to every session. */
  apply(revision: number, events: readonly WatchEvent[]): Publication[] {
    const matched = new Map<Target, WatchEvent[]>();
    for (const event of events) {
      this.#spans.visit(event.kv.key, (target) => {
        if (isFiltered(target, event)) return;
        const own = matched.get(target);
        if (own === undefined) matched.set(target, [event]);
        else own.push(event);
      });
    }
    return [...matched].map(([target, own]) => this.#publication(target, revision, own));
  }

  /** History up to `revision` is about to go: subscribers whose position is older are given one that they can resume from. */
  compacted(revision: number): Publication[] {
    const at = this.#source().revision;
    const payload: WatchPayload = { events: [] };
    const relation = (sent: StreamPosition) => ((parsePosition(sent)?.at ?? 0) < revision ? "next" : "known");
    return [...this.#targets.keys()].map((name) => ({ ...publication(name, "-", this.#position({ at }), payload), relation }));
  }

  /** Only these targets have subscribers (still). */
  keep(names: ReadonlySet<string>): void {
    for (const [name, target] of this.#targets) {
      if (names.has(name)) continue;
      this.#targets.delete(name);
      this.#spans.delete(target.key, target.rangeEnd, target);
    }
  }

  /** After a wake: the sessions have this target, although nothing was read of it yet. */
  open(name: string): void {
    this.#open(name);
  }

  #open(name: string): Target {
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const target = { ...readTarget(name), name };
    this.#targets.set(name, target);
    this.#spans.add(target.key, target.rangeEnd, target);
    return target;
  }

  #page(store: WatchSource, target: Target, from: number) {
    try {
      const page = store.eventsFrom(from, target.key, target.rangeEnd);
      return { ...page, events: page.events.filter((event) => !isFiltered(target, event)) };
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      const { code, message } = errorOfKv(error);
      throw new SkerryError(code, `${message}; the oldest revision that can be watched from is ${Math.max(1, store.compactRevision)}`);
    }
  }

  /** The events of one revision as frames, from the one numbered `before` on. */
  #frames(target: Target, revision: number, events: WatchEvent[], before: number, items: DataItem[], limit: number): void {
    let part: Members[] = [];
    let size = 0;
    let sent = before;
    for (const [i, event] of events.entries()) {
      const written = show(target, event);
      const length = JSON.stringify(written).length;
      if (part.length > 0 && size + length > FRAME_CHARACTERS) {
        sent += part.length;
        items.push(this.#item({ at: revision, cursor: String(sent) }, { events: part, more: true }));
        if (items.length >= limit) return;
        part = [];
        size = 0;
      }
      part.push(written);
      size += length;
      if (i === events.length - 1) items.push(this.#item({ at: revision }, { events: part }));
    }
  }

  #item(at: Omit<LogPosition, "generation">, payload: WatchPayload): DataItem {
    return { position: this.#position(at), kind: "delta", payload };
  }

  #publication(target: Target, revision: number, events: WatchEvent[]): Publication {
    const relation = (sent: StreamPosition) => {
      const position = parsePosition(sent);
      if (position === null) return "gap";
      return position.at > revision || (position.at === revision && position.cursor === undefined)
        ? "known"
        : position.cursor === undefined
          ? "next"
          : "gap";
    };
    const position = this.#position({ at: revision });
    const shown = events.map((event) => show(target, event));
    // Too much for one frame: whoever follows asks, and is given it in parts.
    const whole = shown.length === 1 || JSON.stringify(shown).length <= FRAME_CHARACTERS;
    if (!whole)
      return {
        ...publication(target.name, "-", position, { events: [] }),
        relation: (sent) => (relation(sent) === "known" ? "known" : "gap"),
      };
    return { ...publication(target.name, "-", position, { events: shown } satisfies WatchPayload, MAX_DATA_FRAME_BYTES), relation };
  }

  #position(at: Omit<LogPosition, "generation">): StreamPosition {
    return formatPosition({ generation: this.#generation, ...at });
  }

  /** A position that this group gave out, or a revision alone, of which a client may know from elsewhere. */
  #parse(text: StreamPosition): LogPosition {
    const position = /^\d{1,15}$/.test(text) ? { generation: this.#generation, at: Number(text) } : parsePosition(text);
    if (position === null || (position.cursor !== undefined && !/^\d{1,6}$/.test(position.cursor)))
      throw new SkerryError("bad_request", '"from" is a revision, or a position that this group gave out.');
    if (position.generation !== this.#generation)
      throw new SkerryError("revision_compacted", "The position is of another group that had this name; start anew.");
    return position;
  }
}

function show({ prevKv }: WatchSpec, event: WatchEvent): Members {
  return writeEvent(prevKv ? event : { ...event, prevKv: null });
}

function isFiltered({ filters }: WatchSpec, { type }: WatchEvent): boolean {
  return filters.length > 0 && filters.includes(type === "put" ? "noPut" : "noDelete");
}

function byRevision(events: WatchEvent[]): Map<number, WatchEvent[]> {
  const groups = new Map<number, WatchEvent[]>();
  for (const event of events) {
    const own = groups.get(event.kv.modRevision);
    if (own === undefined) groups.set(event.kv.modRevision, [event]);
    else own.push(event);
  }
  return groups;
}
