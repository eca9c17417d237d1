import type { Cell } from "../../core/streams/pages.ts";
import type { WindowedTable } from "../../core/streams/table.ts";
import type { TaskMachine } from "../../core/streams/task.ts";
import type { TableRow } from "../../core/streams/topology.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { DataItem, StreamPosition } from "../../core/wire/frames.ts";
import type { Actor } from "../../core/wire/grant.ts";
import { formatPosition, planResume } from "../../core/wire/resume.ts";
import { type Ask, type Effect, type Publication, publication, type Reply, Session } from "../../core/wire/session.ts";
import { perform } from "../../core/wire/session-drive.ts";
import { type Attachment, acceptSocket, readAttachment, type SocketActor, socketActor, writeAttachment } from "../shared/sockets.ts";

/** What a subscriber of a table gets: rows, and the event time up to which windows are final (`end <= closedBefore`). */
export type TablePayload = { rows: TableRow[]; streamTime: number; closedBefore: number; late: number };

/** Deltas within this many ms go out as one frame: a reader cannot see more, and each frame costs an encode. */
const CONFLATE_MS = 100;
const ROWS_PER_FRAME = 1000;
/** A frame may have 1 MiB; a character may take three bytes of it. */
const FRAME_CHARACTERS = 256 * 1024;

/**
 * The live side of a task: sessions over hibernating sockets, which subscribe to `{table}/{partition}`. The object is
 * only reached through the Worker, which has authorised the socket and checks in-band tokens.
 */
export class LiveTables {
  readonly #ctx: DurableObjectState;
  readonly #partition: number;
  readonly #generation: string;
  readonly #machine: () => TaskMachine | null;
  readonly #sessions = new Map<WebSocket, Session>();
  #gathered: { since: number; cells: Map<string, Set<Cell>> } | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(ctx: DurableObjectState, generation: string, partition: number, machine: () => TaskMachine | null) {
    this.#ctx = ctx;
    this.#generation = generation;
    this.#partition = partition;
    this.#machine = machine;
  }

  accept(actor: Actor, name: string, protocol: string | null): Response {
    const reduced = socketActor(actor, "streams", name);
    const { session, effects } = Session.open(reduced.expiresAt);
    const { socket, response } = acceptSocket(this.#ctx, reduced, session.save(), protocol === null ? {} : { protocol });
    this.#sessions.set(socket, session);
    this.#perform(socket, reduced, session, effects);
    return response;
  }

  message(socket: WebSocket, data: string | ArrayBuffer): void {
    const known = this.#session(socket);
    if (known === null) return;
    const { session, actor } = known;
    const effects =
      typeof data === "string"
        ? session.onFrame(data, Date.now())
        : session.close(new SkerryError("bad_frame", "Frames are JSON text; this one was binary."));
    this.#perform(socket, actor, session, effects);
  }

  closed(socket: WebSocket): void {
    this.#sessions.delete(socket);
  }

  /** Tables have changed; says so soon, once for all that changes until then. */
  changed(changed: Map<string, Cell[]>, revision: number): void {
    if (this.#ctx.getWebSockets().length === 0) {
      this.#gathered = null;
      return;
    }
    // What is gathered covers the revisions from `since` on, without a hole: that is what makes it a delta.
    this.#gathered ??= { since: revision - 1, cells: new Map() };
    for (const [name, cells] of changed) {
      const known = this.#gathered.cells.get(name) ?? new Set();
      for (const cell of cells) known.add(cell);
      this.#gathered.cells.set(name, known);
    }
    this.#timer ??= setTimeout(() => this.#publish(), CONFLATE_MS);
  }

  #publish(): void {
    this.#timer = null;
    const machine = this.#machine();
    const gathered = this.#gathered;
    this.#gathered = null;
    // While it is being replayed nothing can be read; subscribers ask again with what changes then.
    if (machine === null || gathered === null) return;
    for (const [name, table] of machine.tables) {
      const cells = [...(gathered.cells.get(name) ?? [])];
      // A subscriber that is exactly at `since` gets the rows; another, or one of too many rows, asks for its own.
      const cut = cutToFrame(cells.slice(0, ROWS_PER_FRAME + 1).map((cell) => table.row(cell)));
      const from = cut.more ? "-" : this.#position(gathered.since);
      const rows = cut.more ? [] : cut.kept;
      const target = `${name}/${this.#partition}`;
      const position = this.#position(machine.revision);
      let change: Publication;
      try {
        change = publication(target, from, position, payload(table, rows));
      } catch (thrown) {
        // A row larger than a frame: its subscribers ask, and are told so. Other tables go on.
        if (errorOf(thrown).code !== "too_large") throw thrown;
        change = publication(target, "-", position, payload(table, []));
      }
      for (const socket of this.#ctx.getWebSockets()) {
        const known = this.#session(socket);
        if (known !== null) this.#perform(socket, known.actor, known.session, known.session.publish(change, Date.now()));
      }
    }
  }

  #session(socket: WebSocket): { session: Session; actor: SocketActor } | null {
    const attachment: Attachment<string> | null = readAttachment<string>(socket);
    if (attachment === null) return null;
    let session = this.#sessions.get(socket);
    if (session === undefined) {
      session = Session.restore(attachment.state);
      this.#sessions.set(socket, session);
      const revision = this.#machine()?.revision;
      const head = revision === undefined ? null : this.#position(revision);
      this.#perform(
        socket,
        attachment.actor,
        session,
        session.wake(() => head, Date.now()),
      );
    }
    return { session, actor: attachment.actor };
  }

  #perform(socket: WebSocket, actor: SocketActor, session: Session, effects: Effect[]): void {
    let current = actor;
    const shell = {
      save: (state: string) => {
        if (!session.closed) writeAttachment(socket, { actor: current, state });
      },
      send: (text: string) => {
        try {
          socket.send(text);
        } catch {
          // The peer is gone; its close event follows.
        }
      },
      close: (code: number, reason: string) => {
        this.#sessions.delete(socket);
        try {
          socket.close(code, reason);
        } catch {
          // As above.
        }
      },
      ask: (ask: Ask): Reply => this.#read(ask),
      // The Worker has checked the client's token and sends, in its place, who it says the client is.
      verify: (token: string) => {
        const next = JSON.parse(token) as SocketActor;
        current = next;
        perform(session, session.tokenAccepted(next.expiresAt), shell, Date.now());
      },
      acked: () => {},
    };
    perform(session, effects, shell, Date.now());
  }

  #position(at: number, cursor?: string): StreamPosition {
    return formatPosition({ generation: this.#generation, at, ...(cursor !== undefined && { cursor }) });
  }

  #read(ask: Ask): Reply {
    const machine = this.#machine();
    if (machine === null) throw new SkerryError("unavailable", "The task is replaying its log.", { retryAfter: 1 });
    const [name, partition] = splitTarget(ask.target);
    const table = machine.tables.get(name);
    if (table === undefined || partition !== this.#partition) {
      throw new SkerryError("table_not_found", `This socket has no table "${ask.target}"; a target is "{table}/{partition}".`);
    }
    const plan = planResume({ generation: this.#generation, first: 1, head: machine.revision }, ask.from);
    switch (plan.read) {
      case "snapshot":
        return this.#snapshot(table, machine.revision, undefined, ask.limit, machine.revision);
      case "rest":
        return this.#snapshot(table, plan.at, parseCursor(plan.cursor), ask.limit, machine.revision);
      case "changes":
        return this.#changes(table, plan.after, machine.revision, ask.limit);
      default:
        return plan satisfies never;
    }
  }

  /** Rows change while a snapshot is sent in parts: those changes come after it, since its position is where it began. */
  #snapshot(table: WindowedTable, at: number, after: Cursor | undefined, limit: number, head: number): Reply {
    const items: DataItem[] = [];
    let cursor = after;
    for (;;) {
      const rows = cutToFrame(table.query({ limit: ROWS_PER_FRAME + 1, after: cursor }));
      const last = rows.kept.at(-1);
      if (last !== undefined) cursor = { start: last.window.start, key: last.key };
      const end = !rows.more;
      const position = end ? this.#position(at) : this.#position(at, formatCursor(cursor as Cursor));
      items.push({ position, kind: "snapshot", ...(end && { last: true }), payload: payload(table, rows.kept) });
      if (end || items.length >= Math.max(1, limit)) {
        return { mode: after === undefined ? "snapshot" : "resume", position, items, more: !end || at < head };
      }
    }
  }

  #changes(table: WindowedTable, after: number, head: number, limit: number): Reply {
    const rows =
      after === head ? [] : table.query({ since: after, limit: Number.POSITIVE_INFINITY }).sort((a, b) => a.revision - b.revision);
    const items: DataItem[] = [];
    let begin = 0;
    while (begin < rows.length && items.length < Math.max(1, limit)) {
      let end = begin + cutToFrame(rows.slice(begin, begin + ROWS_PER_FRAME)).kept.length;
      // A position names a whole revision, so the rows of one stay together.
      while (end < rows.length && (rows[end] as TableRow).revision === (rows[end - 1] as TableRow).revision) end++;
      const position = end === rows.length ? this.#position(head) : this.#position((rows[end - 1] as TableRow).revision);
      items.push({ position, kind: "delta", payload: payload(table, rows.slice(begin, end)) });
      begin = end;
    }
    if (items.length === 0 && after < head) items.push({ position: this.#position(head), kind: "delta", payload: payload(table, []) });
    return { mode: "resume", position: this.#position(after), items, more: begin < rows.length };
  }
}

/** `{table}/{partition}`, where the table's name may itself hold a slash. */
function splitTarget(target: string): [string, number] {
  const at = target.lastIndexOf("/");
  return [target.slice(0, at), Number(target.slice(at + 1))];
}

type Cursor = { start: number; key: string };

function formatCursor({ start, key }: Cursor): string {
  return `${start}/${key}`;
}

function parseCursor(text: string): Cursor {
  const at = text.indexOf("/");
  return { start: Number(text.slice(0, at)), key: text.slice(at + 1) };
}

/** The first rows that make a frame: at most {@link ROWS_PER_FRAME}, and about half of what a frame may hold, but at least one. */
function cutToFrame(rows: TableRow[]): { kept: TableRow[]; more: boolean } {
  let size = 0;
  for (let count = 0; count < rows.length; count++) {
    if (count === ROWS_PER_FRAME || (count > 0 && size > FRAME_CHARACTERS)) return { kept: rows.slice(0, count), more: true };
    size += JSON.stringify(rows[count]).length;
  }
  return { kept: rows, more: false };
}

function payload(table: WindowedTable, rows: TableRow[]): TablePayload {
  return { rows, streamTime: table.streamTime, closedBefore: table.streamTime - table.node.windows.grace, late: table.late };
}
