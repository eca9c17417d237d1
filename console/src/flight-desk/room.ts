import { signal } from "@preact/signals";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { ERRORS, type ErrorCode, errorOf } from "../../../core/wire/errors.ts";
import { allows } from "../../../core/wire/grant.ts";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import type { Session } from "../platform/session.ts";
import { AckCounter } from "./acks.ts";
import { colourOf, keepName, ownName, type Person, peopleIn } from "./people.ts";

/** A place of the board: the delays of an airport in the hour that begins at `hour`; mean in minutes. */
export type BoardRow = { rank: string; airport: string; hour: number; count: number; mean: number };

export const ROOM = "flight-desk";
const NAME = "Room";

/** The room `flight-desk`: the board, which the stream writes, and the note, which people do. */
export class DeskRoom {
  readonly board = signal<readonly BoardRow[]>([]);
  readonly people = signal<readonly Person[]>([]);
  readonly name = signal(ownName());
  readonly connection = signal<Connection>({ state: "connecting" });
  /** Whether the document is here. */
  readonly synced = signal(false);
  /** Whether everything written in this tab is known to be durable on the server. */
  readonly saved = signal(true);
  readonly readOnly: boolean;
  readonly notes: Y.Text;
  readonly provider: WebsocketProvider;
  readonly #api: Api;
  readonly #doc = new Y.Doc();

  constructor(api: Api, session: Session) {
    this.#api = api;
    this.readOnly = !allows(session.grants, "rooms", ROOM, "write");
    this.notes = this.#doc.getText("notes");
    const board = this.#doc.getMap("board");
    const acks = new AckCounter((allDurable) => {
      if (allDurable && this.provider.synced) this.saved.value = true;
    });
    const url = new URL("/v1/rooms", location.href.replace(/^http/, "ws")).href;
    this.provider = new WebsocketProvider(url, ROOM, this.#doc, {
      connect: false,
      params: { ack: "1", ...(api.credential !== null && { token: api.credential }) },
      // Two tabs of one browser meet on the server as any two people do.
      disableBc: true,
      WebSocketPolyfill: acks.socketClass(),
    });
    acks.attach(this.provider);
    board.observe(() => {
      this.board.value = rowsOf(board);
    });
    this.#doc.on("update", (_update: Uint8Array, origin: unknown) => {
      if (origin !== this.provider) this.saved.value = false;
    });
    this.provider.awareness.on("change", () => {
      this.people.value = peopleIn(this.provider.awareness.getStates(), this.#doc.clientID);
    });
    this.provider.on("status", ({ status }) => {
      if (status === "connected") this.#state({ state: "live" });
    });
    this.provider.on("sync", (synced: boolean) => {
      if (synced) this.synced.value = true;
    });
    this.provider.on("connection-close", (event) => void this.#lost(event));
    this.provider.on("closed", ({ code, reason }) => this.#refused(code, reason));
    this.#introduce();
    this.#state({ state: "connecting" });
    this.provider.connect();
  }

  rename(name: string): void {
    this.name.value = keepName(name);
    this.#introduce();
  }

  close(): void {
    this.provider.destroy();
    this.#doc.destroy();
    report(NAME, null);
  }

  #introduce(): void {
    const color = colourOf(this.#doc.clientID);
    this.provider.awareness.setLocalStateField("user", { name: this.name.value, color, colorLight: `${color}33` });
  }

  /** A browser does not tell why a socket was not opened, so the room is asked where there is an answer to read. */
  async #lost(event: CloseEvent | null): Promise<void> {
    if (event === null || !this.provider.shouldReconnect(event, this.provider)) return;
    this.#state({ state: "waiting", detail: "The connection to the room broke. Trying again." });
    try {
      await this.#api.get(`/v1/rooms/${ROOM}`);
    } catch (thrown) {
      const error = errorOf(thrown);
      if (this.provider.wsconnected || error.code === "room_not_found") return;
      if (ERRORS[error.code].retryable) return this.#state({ state: "waiting", detail: `${error.message} Trying again.` });
      this.provider.disconnect();
      this.#state({ state: "refused", detail: error.message });
    }
  }

  #refused(code: number, reason: string): void {
    const known = Object.hasOwn(ERRORS, reason) ? (reason as ErrorCode) : null;
    const detail = known === null ? `The room closed the connection (${code}).` : `${ERRORS[known].title}.`;
    this.#state({ state: "refused", detail: known === "diverged" ? "The room was deleted and made anew. Reload to see it." : detail });
    // A credential that ended ends the session as well, whichever socket hears of it first.
    if (code === 4401 || code === 4408) void this.#api.get("/v1/session").catch(() => {});
  }

  #state(connection: Connection): void {
    this.connection.value = connection;
    report(NAME, connection);
  }
}

/** The board's entries by rank. The room may be written by anyone with the right to, so an entry of another form is left out. */
function rowsOf(board: Y.Map<unknown>): BoardRow[] {
  const rows: BoardRow[] = [];
  for (const [rank, value] of board.entries()) {
    const { airport, hour, count, mean } = (value ?? {}) as Partial<BoardRow>;
    if (typeof airport === "string" && typeof hour === "number" && typeof count === "number" && typeof mean === "number")
      rows.push({ rank, airport, hour, count, mean });
  }
  return rows.sort((a, b) => (a.rank < b.rank ? -1 : 1));
}
