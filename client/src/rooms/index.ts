import type { Client } from "../client.ts";
import { httpOf } from "../internals.ts";
import { RoomConnection } from "./connection.ts";
import type { Room, RoomOptions } from "./room.ts";

export type { Room, RoomOptions } from "./room.ts";
export type { RoomState, RoomStatus } from "./status.ts";

/**
 * Joins a room: keeps a Yjs document in step with it and tells what is durable. It needs `yjs` and `y-protocols` beside
 * this package. A room comes into being when somebody joins it.
 * @example
 * const room = connectRoom(client, "notes");
 * await room.whenSynced();
 * room.doc.getText("note").insert(0, "hello ");
 * await room.whenDurable();
 * room.close();
 */
export function connectRoom(client: Client, name: string, options: RoomOptions = {}): Room {
  return new RoomConnection(httpOf(client), name, options);
}
