const MiB = 1024 * 1024;

/** Sizes in bytes, times in milliseconds. */
export type RoomOptions = {
  /** How long an update may wait for others before it is written. */
  commitDelay: number;
  /** What waits is written at once when it takes more than this. */
  maxPendingBytes: number;
  /** The largest frame a client may send, and the largest update from outside of a socket. */
  maxFrameBytes: number;
  /** The largest document, merged; a joiner gets it in one frame, and the platform's limit is 32 MiB. */
  maxRoomBytes: number;
  /** The largest document of which a Y.Doc is made: its heap is about twelve times that. */
  maxReplicaBytes: number;
  /** A larger merged document is not kept after a commit. */
  maxCachedBytes: number;
  /** What may be on its way to a connection that gives no sign of reading, beyond one copy of the document. */
  maxUnreadBytes: number;
  /** Up to so many connections presence is relayed at once; above, it is gathered for `presenceDelay`. */
  immediatePresence: number;
  presenceDelay: number;
};

export const ROOM_OPTIONS: RoomOptions = {
  commitDelay: 50,
  maxPendingBytes: 256 * 1024,
  maxFrameBytes: 8 * MiB,
  maxRoomBytes: 30 * MiB,
  maxReplicaBytes: 4 * MiB,
  maxCachedBytes: 12 * MiB,
  maxUnreadBytes: 16 * MiB,
  immediatePresence: 8,
  presenceDelay: 50,
};
