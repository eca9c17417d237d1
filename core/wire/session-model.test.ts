import fc from "fast-check";
import { expect, it } from "vitest";
import { type DataItem, encode, parseClientFrame, parseServerFrame } from "./frames.ts";
import { formatPosition, parsePosition, planResume } from "./resume.ts";
import { type Ask, type Effect, publication, type Reply, Session } from "./session.ts";

/** A keyed table whose changes are kept for a while: conflates deltas, cuts snapshots into parts of two keys. */
class Table {
  readonly rows = new Map<string, number>();
  readonly changes: [string, number][] = [];
  trimmed = 0;
  generation = 0;

  get head(): string {
    return this.at(this.changes.length);
  }

  at(at: number, cursor?: string): string {
    return formatPosition({ generation: `g${this.generation}`, at, ...(cursor !== undefined && { cursor }) });
  }

  set(key: string, value: number) {
    const previous = this.head;
    this.rows.set(key, value);
    this.changes.push([key, value]);
    return publication("table", previous, this.head, [[key, value]]);
  }

  /** History is lost, as when a new version of a topology takes over; a row goes without a change that says so. */
  rebuild(): void {
    this.rows.delete("b");
    this.generation++;
    this.trimmed = this.changes.length;
  }

  read(ask: Ask): Reply {
    const head = this.changes.length;
    const plan = planResume({ generation: `g${this.generation}`, first: this.trimmed + 1, head }, ask.from);
    if (plan.read === "changes") {
      const behind = this.changes.slice(plan.after);
      if (behind.length === 0) return { mode: "resume", position: this.head, items: [], more: false };
      // All that was missed becomes at most `limit` frames, the latest value of each key.
      const cut = ask.limit === 1 ? head : plan.after + Math.ceil(behind.length / 2);
      const items = [this.#delta(plan.after, cut), ...(cut < head ? [this.#delta(cut, head)] : [])];
      return { mode: "resume", position: this.at(plan.after), items, more: false };
    }
    const at = plan.read === "rest" ? plan.at : head;
    const after = plan.read === "rest" ? plan.cursor : "";
    const rest = [...this.rows].filter(([key]) => key > after).sort(([a], [b]) => (a < b ? -1 : 1));
    const items: DataItem[] = [];
    for (let i = 0; items.length < ask.limit && (i < rest.length || items.length === 0); i += 2) {
      const last = i + 2 >= rest.length;
      const cursor = rest[Math.min(i + 1, rest.length - 1)]?.[0];
      items.push({
        position: last ? this.at(at) : this.at(at, cursor),
        kind: "snapshot",
        payload: rest.slice(i, i + 2),
        ...(last && { last }),
      });
      if (last) break;
    }
    const complete = items.at(-1)?.last === true;
    return { mode: plan.read === "rest" ? "resume" : "snapshot", position: this.at(at), items, more: !complete || at < head };
  }

  #delta(from: number, to: number): DataItem {
    return { position: this.at(to), kind: "delta", payload: [...new Map(this.changes.slice(from, to))] };
  }
}

/** A log of records, each of which must arrive exactly once. */
class Log {
  length = 0;

  append() {
    this.length++;
    return publication("log", `l.${this.length - 1}`, `l.${this.length}`, this.length);
  }

  read(ask: Ask): Reply {
    const after = ask.from === null ? 0 : (parsePosition(ask.from)?.at as number);
    const numbers = Array.from({ length: Math.min(ask.limit, this.length - after) }, (_, i) => after + 1 + i);
    const items = numbers.map((n): DataItem => ({ position: `l.${n}`, kind: "delta", payload: n }));
    return { mode: "resume", position: `l.${after}`, items, more: after + items.length < this.length };
  }
}

type Step =
  | { do: "set"; key: string; value: number }
  | { do: "append" | "up" | "down" | "read" | "hibernate" | "reconnect" | "trim" | "rebuild" };

/** Server, wire and client with every hand-over made explicit, so that steps may come in any order. */
class World {
  readonly table = new Table();
  readonly log = new Log();
  session = Session.open(null).session;
  up: string[] = [];
  down: string[] = [];
  /** Answers on their way from the targets, as the target was when it was read. */
  replies: { ask: Ask; reply: Reply | null }[] = [];
  // What the client knows.
  rows = new Map<string, number>();
  complete = false;
  received: number[] = [];
  from: (string | undefined)[] = [undefined, undefined];
  /** Data frames the server may still send, by what it has read of the client's grants. */
  credit = [0, 0];

  constructor(readonly window: number) {
    this.subscribe();
  }

  perform(effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === "send") {
        this.down.push(effect.text);
        const frame = parseServerFrame(effect.text);
        if (frame.type === "data") expect(--this.credit[frame.id - 1]!, "more data frames than credit").toBeGreaterThanOrEqual(0);
      }
      if (effect.kind === "ask") this.replies.push({ ask: effect.ask, reply: null });
    }
  }

  subscribe(): void {
    for (const [i, target] of ["table", "log"].entries()) {
      const from = this.from[i];
      this.up.push(encode({ type: "subscribe", id: i + 1, target, credit: this.window, ...(from !== undefined && { from }) }));
    }
  }

  head = (target: string) => (target === "table" ? this.table.head : `l.${this.log.length}`);

  step(step: Step): void {
    this.perform(this.effects(step));
  }

  effects(step: Step): Effect[] {
    switch (step.do) {
      case "set":
        return this.session.publish(this.table.set(step.key, step.value), 0);
      case "append":
        return this.session.publish(this.log.append(), 0);
      case "up": {
        const text = this.up.shift();
        if (text === undefined) return [];
        const frame = parseClientFrame(text);
        if (frame.type === "subscribe") this.credit[frame.id - 1] = frame.credit;
        if (frame.type === "credit") this.credit[frame.id - 1]! += frame.n;
        return this.session.onFrame(text, 0);
      }
      case "read": {
        // First the target is read, in a later step the answer arrives: changes fall between the two.
        const next = this.replies[0];
        if (next === undefined) return [];
        if (next.reply === null) {
          next.reply = next.ask.target === "table" ? this.table.read(next.ask) : this.log.read(next.ask);
          return [];
        }
        this.replies.shift();
        return this.session.answer(next.ask.ticket, next.reply, 0);
      }
      case "down": {
        const text = this.down.shift();
        if (text !== undefined) this.receive(text);
        return [];
      }
      case "hibernate":
        this.replies = [];
        this.session = Session.restore(this.session.save());
        return this.session.wake(this.head, 0);
      case "reconnect":
        this.replies = [];
        this.up = [];
        this.down = [];
        this.session = Session.open(null).session;
        this.subscribe();
        return [];
      case "trim":
        this.table.trimmed = this.table.changes.length;
        return [];
      case "rebuild":
        this.table.rebuild();
        // Its subscribers learn of it with the next change, whose `previous` they do not have.
        return this.session.publish(this.table.set("a", -1), 0);
    }
  }

  receive(text: string): void {
    const frame = parseServerFrame(text);
    if (frame.type === "subscribed") {
      if (frame.mode === "snapshot") {
        this.rows.clear();
        this.complete = false;
        this.from[frame.id - 1] = undefined;
      } else this.from[frame.id - 1] = frame.position;
      return;
    }
    if (frame.type !== "data") throw new Error(`unexpected ${text}`);
    const i = frame.id - 1;
    this.from[i] = frame.position;
    if (i === 1) {
      expect(frame.payload, "a record was lost or repeated").toBe(this.received.length + 1);
      this.received.push(frame.payload as number);
    } else {
      for (const [key, value] of frame.payload as [string, number][]) this.rows.set(key, value);
      if (frame.last) this.complete = true;
    }
    this.up.push(encode({ type: "credit", id: frame.id, n: 1 }));
  }

  settle(): void {
    for (let i = 0; this.up.length + this.down.length + this.replies.length > 0; i++) {
      if (i > 10_000) throw new Error("never settles");
      this.step({ do: "up" });
      this.step({ do: "read" });
      this.step({ do: "down" });
    }
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("set" as const), key: fc.constantFrom("a", "b", "c", "d", "e"), value: fc.nat(99) }),
  },
  { weight: 16, arbitrary: fc.record({ do: fc.constantFrom("append" as const, "up" as const, "read" as const, "down" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("hibernate" as const, "reconnect" as const, "trim" as const, "rebuild" as const) }),
  },
);

it("[WS13] under any interleaving of changes, credit, hibernation and reconnection nothing is lost or repeated", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 80, size: "max" }), (window, steps) => {
      const world = new World(window);
      for (const each of steps) world.step(each);
      world.settle();
      expect(world.complete).toBe(true);
      expect([...world.rows].sort()).toEqual([...world.table.rows].sort());
      expect(world.received.length).toBe(world.log.length);
    }),
    { numRuns: 600 },
  );
});
