import { SkerryError } from "../../wire/errors.ts";
import type { Message, NodeId } from "../raft/types.ts";
import { type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import type { Chunk, ChunkReceipt } from "./envelope.ts";

/** A snapshot larger than this is refused: two of them would not fit in an isolate. */
const MAX_SNAPSHOT_BYTES = 64 * 2 ** 20;

/** A snapshot on its way to a follower, chunk after chunk: the next leaves when the one before is acknowledged. */
export class Outgoing {
  readonly #message: Message;
  readonly #bytes: Uint8Array;
  readonly #chunkBytes: number;
  #offset = 0;
  /** Whether a chunk is to be sent. */
  due = true;

  /** `bytes`: the checkpoint at the snapshot's index. */
  constructor(message: Message, bytes: Uint8Array, chunkBytes: number) {
    this.#message = message;
    this.#bytes = bytes;
    this.#chunkBytes = chunkBytes;
  }

  /** The chunk to send; with the last one goes the message that makes it a state. */
  take(): { chunk: Chunk; message: Message | null } {
    this.due = false;
    const { index, term } = this.#message.snapshot!;
    const bytes = this.#bytes.subarray(this.#offset, this.#offset + this.#chunkBytes);
    const last = this.#offset + bytes.length === this.#bytes.length;
    return {
      chunk: { index, term, total: this.#bytes.length, offset: this.#offset, bytes },
      message: last ? this.#message : null,
    };
  }

  /** `done`: nothing more is to be sent. */
  received(receipt: ChunkReceipt): "more" | "done" | "other" {
    const { index, term } = this.#message.snapshot!;
    if (receipt.index !== index || receipt.term !== term) return "other";
    if (receipt.done) return "done";
    this.#offset = Math.min(receipt.received, Math.max(0, this.#bytes.length - 1));
    this.due = true;
    return "more";
  }
}

/** A snapshot as it arrives. One at a time: another one takes its place. */
export class Incoming {
  #at: { from: NodeId; index: number; term: number } | null = null;
  #bytes = new Uint8Array();
  #received = 0;

  /** Takes a chunk if it is the next one. The receipt says what is. */
  take(from: NodeId, chunk: Chunk): ChunkReceipt {
    const { index, term, total, offset, bytes } = chunk;
    if (total > MAX_SNAPSHOT_BYTES) {
      throw new SkerryError("too_large", `A snapshot of ${total} bytes; at most ${MAX_SNAPSHOT_BYTES} fit beside the state it replaces.`);
    }
    if (this.#at?.from !== from || this.#at.index !== index || this.#at.term !== term || this.#bytes.length !== total) {
      this.#at = { from, index, term };
      this.#bytes = new Uint8Array(total);
      this.#received = 0;
    }
    if (offset === this.#received && offset + bytes.length <= total) {
      this.#bytes.set(bytes, offset);
      this.#received += bytes.length;
    }
    return { index, term, received: this.#received, done: false };
  }

  /** The whole of the snapshot that a message names, or null while it is not. It is forgotten here. */
  complete(message: Message): Checkpoint | null {
    const snapshot = message.snapshot!;
    const at = this.#at;
    if (at?.from !== message.from || at.index !== snapshot.index || at.term !== snapshot.term) return null;
    if (this.#received < this.#bytes.length) return null;
    const bytes = this.#bytes;
    this.clear();
    const checkpoint = decodeCheckpoint(bytes);
    return checkpoint.index === snapshot.index && checkpoint.term === snapshot.term ? checkpoint : null;
  }

  clear(): void {
    this.#at = null;
    this.#bytes = new Uint8Array();
    this.#received = 0;
  }
}
