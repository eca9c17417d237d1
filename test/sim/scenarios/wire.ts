import { createClient } from "../../../client/src/index.ts";
import type { DataItem } from "../../../core/wire/frames.ts";
import { formatPosition, planResume } from "../../../core/wire/resume.ts";
import { type Ask, type Effect, publication, type Reply, Session } from "../../../core/wire/session.ts";
import { perform } from "../../../core/wire/session-drive.ts";
import { type Env, type Scenario, type ServerSocket, type Sim, type SimStorage, scenario } from "../kit/index.ts";

type Row = { key: string; window: { start: number; end: number }; value: { n: number }; final: boolean; revision: number };

const ROWS_PER_PART = 3;
/** Changes that are kept; who is further behind gets a snapshot. */
const KEPT = 12;

/** Mistakes of a shell, planted on demand to show that the kit finds them. */
export type WireBug =
  /** None. */
  | "none"
  /** It stores the session's state once, when the socket opens. */
  | "forgets-to-save"
  /** It calls a subscriber up to date that has just got the last part of a snapshot, whatever changed meanwhile. */
  | "takes-snapshot-for-head";

/** A table served over sockets as a Durable Object would: rows and a short log of changes on disk, sessions in attachments. */
class TableObject {
  readonly #storage: SimStorage;
  readonly #env: Env;
  readonly #bug: WireBug;
  readonly #sessions = new Map<number, Session>();

  constructor(storage: SimStorage, env: Env, bug: WireBug) {
    this.#storage = storage;
    this.#env = env;
    this.#bug = bug;
  }

  async page(): Promise<object> {
    return { rows: this.#rows(), cursor: null, partitions: [{ partition: 0, streamTime: 0, late: 0, applied: {} }] };
  }

  async set(key: string, n: number): Promise<void> {
    const previous = this.#head();
    const row: Row = { key, window: { start: 0, end: 1 }, value: { n }, final: false, revision: previous + 1 };
    this.#storage.put(`row/${key}`, row);
    this.#storage.put(`change/${previous + 1}`, key);
    this.#storage.delete(`change/${previous + 1 - KEPT}`);
    this.#storage.put("head", previous + 1);
    const now = this.#env.now();
    const change = publication("table/0", this.#at(previous), this.#at(previous + 1), payload([row]));
    for (const socket of this.#env.sockets()) {
      const session = this.#session(socket);
      this.#perform(socket, session, session.publish(change, now));
    }
  }

  async onConnect(socket: ServerSocket): Promise<void> {
    const { session, effects } = Session.open(null);
    this.#sessions.set(socket.id, session);
    this.#perform(socket, session, effects);
  }

  async onMessage(socket: ServerSocket, text: string): Promise<void> {
    const session = this.#session(socket);
    this.#perform(socket, session, session.onFrame(text, this.#env.now()));
  }

  async onClose(socket: ServerSocket): Promise<void> {
    this.#sessions.delete(socket.id);
  }

  #session(socket: ServerSocket): Session {
    const known = this.#sessions.get(socket.id);
    if (known !== undefined) return known;
    const session = Session.restore(socket.deserializeAttachment<string>() as string);
    this.#sessions.set(socket.id, session);
    this.#perform(
      socket,
      session,
      session.wake(() => this.#at(this.#head()), this.#env.now()),
    );
    return session;
  }

  #perform(socket: ServerSocket, session: Session, effects: Effect[]): void {
    const shell = {
      save: (state: string) => {
        if (this.#bug !== "forgets-to-save" || socket.deserializeAttachment() === null) socket.serializeAttachment(state);
      },
      send: (text: string) => socket.send(text),
      close: (code: number, reason: string) => socket.close(code, reason),
      ask: (ask: Ask) => this.#read(ask),
      verify: () => {},
      acked: () => {},
    };
    perform(session, effects, shell, this.#env.now());
  }

  #read(ask: Ask): Reply {
    const head = this.#head();
    const plan = planResume({ generation: "g", first: Math.max(1, head - KEPT + 1), head }, ask.from);
    if (plan.read === "changes") {
      const keys = Array.from({ length: head - plan.after }, (_, i) => this.#storage.get<string>(`change/${plan.after + 1 + i}`) as string);
      const rows = [...new Set(keys)].map((key) => this.#storage.get<Row>(`row/${key}`) as Row);
      const items: DataItem[] = rows.length === 0 ? [] : [{ position: this.#at(head), kind: "delta", payload: payload(rows) }];
      return { mode: "resume", position: this.#at(plan.after), items, more: false };
    }
    const [at, after] = plan.read === "rest" ? [plan.at, plan.cursor] : [head, ""];
    const rows = this.#rows().filter((row) => row.key > after);
    const items: DataItem[] = [];
    do {
      const part = rows.splice(0, ROWS_PER_PART);
      const last = rows.length === 0;
      const position = last ? this.#at(at) : this.#at(at, part.at(-1)?.key);
      items.push({ position, kind: "snapshot", ...(last && { last }), payload: payload(part) });
    } while (rows.length > 0 && items.length < ask.limit);
    const trails = at < head && this.#bug !== "takes-snapshot-for-head";
    return { mode: plan.read === "rest" ? "resume" : "snapshot", position: this.#at(at), items, more: rows.length > 0 || trails };
  }

  #head(): number {
    return this.#storage.get<number>("head") ?? 0;
  }

  #at(at: number, cursor?: string): string {
    return formatPosition({ generation: "g", at, ...(cursor !== undefined && { cursor }) });
  }

  #rows(): Row[] {
    return this.#storage.list("row/").map((key) => this.#storage.get<Row>(key) as Row);
  }
}

function payload(rows: Row[]) {
  return { rows, streamTime: 0, closedBefore: 0, late: 0 };
}

/** The client's surroundings inside of the simulation. */
function runtimeOf(sim: Sim, name: string) {
  return {
    now: () => sim.now(),
    random: () => sim.random.next(),
    timer: (ms: number, run: () => void) => sim.timer(ms, run),
    connect: () => sim.connect(name, "table"),
    fetch: async () => {
      const page = await sim.callAs(name, "table", "page");
      return { ok: true, status: 200, headers: new Headers(), json: async () => page } as Response;
    },
  };
}

/**
 * The SDK follows a table through drops, crashes and evictions; a reader that is slow, leaves, and comes back where it
 * was. When all is calm, what each reader holds is what the table holds.
 */
export function wire(bug: WireBug): Scenario {
  return scenario(bug === "none" ? "wire-resume" : `wire-${bug}`, async (sim) => {
    sim.object("table", (storage, env) => new TableObject(storage, env, bug));
    sim.faults({ crash: 0.005, evict: 0.2, drop: 0.01, delay: [1, 40] });
    let over = false;
    const readers = ["anna", "ben"].map((name) => ({ name, rows: new Map<string, number>(), stop: new AbortController() }));

    const reading = readers.map(async ({ name, rows, stop }) => {
      const client = createClient({ url: "http://sim", runtime: runtimeOf(sim, name) });
      let from: (string | null)[] | undefined;
      while (!stop.signal.aborted) {
        const subscription = await client.streams.table("table").subscribe({
          credit: sim.random.int(1, 5),
          signal: stop.signal,
          ...(from !== undefined && { from }),
        });
        try {
          for await (const event of subscription) {
            if (event.kind === "reset") rows.clear();
            else for (const row of event.rows) rows.set(row.key, row.value.n as number);
            if (!over) await sim.sleep(sim.random.int(0, 30));
            if (!over && sim.random.chance(0.05)) break;
          }
        } catch (error) {
          if (!stop.signal.aborted) throw error;
        }
        // A reader that comes back has kept its rows and its positions, or neither.
        from = sim.random.chance(0.5) ? subscription.positions() : undefined;
        if (from === undefined && !stop.signal.aborted) rows.clear();
      }
    });

    for (let n = 1; n <= 60; n++) {
      const key = `k${sim.random.int(0, 15)}`;
      await sim.retry(() => sim.callAs("writer", "table", "set", key, n));
      await sim.sleep(sim.random.int(0, 60));
    }
    over = true;
    sim.calm();
    // Long enough for a client to notice a dead connection and to come back.
    await sim.sleep(180_000);
    const { rows } = await sim.call<{ rows: Row[] }>("table", "page");
    const truth = rows.map((row) => `${row.key}=${row.value.n}`).join(" ");
    for (const reader of readers) {
      const held = [...reader.rows]
        .map(([key, n]) => `${key}=${n}`)
        .sort()
        .join(" ");
      const expected = truth.split(" ").sort().join(" ");
      if (held !== expected) throw new Error(`${reader.name} holds\n  ${held}\nthe table\n  ${expected}`);
      reader.stop.abort(new Error("over"));
    }
    await Promise.all(reading);
  });
}
