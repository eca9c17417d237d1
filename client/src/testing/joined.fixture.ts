import { connectRoom, type RoomOptions } from "../rooms/index.ts";
import { RoomServer } from "./room.fixture.ts";

/** A server with one client that has joined. */
export async function joined(options: RoomOptions = {}, token?: string | (() => string)) {
  const server = new RoomServer();
  const room = connectRoom(server.client(token), "notes", options);
  await server.time.elapse(100);
  return { server, room, note: room.doc.getText("note"), time: server.time };
}
