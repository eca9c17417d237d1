import type { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { CallOptions } from "../http.ts";
import type { RoomStatus } from "./status.ts";

export type RoomOptions = {
  /** The document to keep in step with the room; a new one unless given. */
  doc?: Y.Doc;
  /** Presence, to share one with other providers; null for none. A new one unless given. */
  awareness?: Awareness | null;
  /**
   * The room's history to which the document's content belongs: {@link Room.epoch}, kept with a local copy. If the room
   * was deleted and made again since, it closes with `diverged` instead of bringing the old content back.
   */
  epoch?: string;
};

/** A document that is kept in step with a room, through reconnections and restarts of the server. */
export interface Room {
  readonly name: string;
  readonly doc: Y.Doc;
  readonly awareness: Awareness | null;
  readonly status: RoomStatus;
  /** The room's history, once the room has told it. Keep it with a copy of the document, if you keep one. */
  readonly epoch: string | null;
  /** Calls back after each change of `status`, a burst of changes once; returns what ends that. */
  on(event: "status", listener: (status: RoomStatus) => void): () => void;
  /**
   * Resolves when the document has all that the room had when it connected: at once while `live`. Rejects with what
   * closed the room.
   */
  whenSynced(options?: CallOptions): Promise<void>;
  /**
   * Resolves when every local edit made so far is on the server's disk: no crash of server or client loses it. While
   * offline it waits. Rejects with what closed the room, or `forbidden` where the token may only read.
   * @example
   * room.doc.getText("note").insert(0, "runway 2 closed");
   * await room.whenDurable();
   */
  whenDurable(options?: CallOptions): Promise<void>;
  /** Tries again now, instead of waiting until `retryAt`. */
  reconnect(): void;
  /** Leaves the room. Edits that are not durable stay in the document only: await {@link whenDurable} before. */
  close(): void;
}
