import type { SkerryError } from "../../../core/wire/errors.ts";

/**
 * `connecting`: the first attempt is under way. `live`: connected and in step. `waiting`: the connection is gone and comes
 * back by itself; edits are kept. `closed`: for good, by `close()` or for the reason in `error`.
 */
export type RoomState = "connecting" | "live" | "waiting" | "closed";

/** How a room stands. A new object with each change, never a changed one. */
export type RoomStatus = {
  readonly state: RoomState;
  /** The token may only read: local edits stay here. */
  readonly readOnly: boolean;
  /** Local edits that have not left on this connection. */
  readonly unsent: number;
  /** Local edits that the room has not confirmed as durable. */
  readonly undurable: number;
  /** Why the connection is gone, or what the room refused. Null while all is well. */
  readonly error: SkerryError | null;
  /** When the next attempt begins, Unix milliseconds; null if none is due. */
  readonly retryAt: number | null;
};
