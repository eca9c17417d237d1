import { signal } from "@preact/signals";
import { connectRoom, type Room, type RoomStatus } from "@skerry/client/rooms";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { allows } from "../../../core/wire/grant.ts";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import type { Session } from "../platform/session.ts";
import { colourOf, keepName, ownName, type Person, peopleIn } from "./people.ts";

/** A place of the board: the delays of an airport in the hour that begins at `hour`; mean in minutes. */
export type BoardRow = { rank: string; airport: string; hour: number; count: number; mean: number };

export const ROOM = "flight-desk";
const NAME = "Room";

/** The room `flight-desk`: the board, which the stream writes, and the note, which people do. Joined by the SDK. */
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
  readonly awareness: Awareness;
  readonly #api: Api;
  readonly #room: Room;

  constructor(api: Api, session: Session) {
    this.#api = api;
    this.readOnly = !allows(session.grants, "rooms", ROOM, "write");
    const doc = new Y.Doc();
    this.notes = doc.getText("notes");
    const board = doc.getMap("board");
    board.observe(() => {
      this.board.value = rowsOf(board);
    });
    this.#room = connectRoom(api.client, ROOM, { doc });
    this.awareness = this.#room.awareness!;
    this.awareness.on("change", () => {
      this.people.value = peopleIn(this.awareness.getStates(), doc.clientID);
    });
    this.#room.on("status", (status) => this.#stands(status));
    this.#introduce();
    this.#stands(this.#room.status);
  }

  rename(name: string): void {
    this.name.value = keepName(name);
    this.#introduce();
  }

  /** The server answers again: does not wait for the next attempt. */
  nudge(): void {
    this.#room.reconnect();
  }

  close(): void {
    this.#room.close();
    this.#room.doc.destroy();
    report(NAME, null);
  }

  #introduce(): void {
    const color = colourOf(this.#room.doc.clientID);
    this.awareness.setLocalStateField("user", { name: this.name.value, color, colorLight: `${color}33` });
  }

  #stands(status: RoomStatus): void {
    if (status.state === "closed" && status.error === null) return;
    if (status.state === "live") this.synced.value = true;
    this.saved.value = status.undurable === 0;
    this.connection.value = connectionOf(status);
    report(NAME, this.connection.value);
    if (status.state === "closed" && status.error !== null) this.#api.refused(status.error);
  }
}

function connectionOf({ state, error }: RoomStatus): Connection {
  switch (state) {
    case "connecting":
    case "live":
      return { state };
    case "waiting":
      return {
        state,
        detail: `${error === null || error.code === "unavailable" ? "The connection to the room broke." : error.message} Trying again.`,
      };
    case "closed":
      return {
        state: "refused",
        detail:
          error?.code === "diverged" ? "The room was deleted and made anew. Reload to see it." : (error?.message ?? "The room was left."),
      };
    default:
      return state satisfies never;
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
