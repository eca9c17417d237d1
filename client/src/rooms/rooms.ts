import { toBase64Url } from "../../../core/wire/base64url.ts";
import type { CallOptions, Http } from "../http.ts";
import type { PageOptions } from "../streams/streams.ts";

/** A room as it stands. Sizes in bytes. */
export type RoomStats = {
  name: string;
  /** Names this history of the room; one that was deleted and made again has another. */
  epoch: string;
  format: number;
  /** Entries in the room's journal; grows with every commit. */
  position: number;
  connections: number;
  snapshotBytes: number;
  journalBytes: number;
  journalRows: number;
  databaseBytes: number;
  rowsWritten: number;
  pendingBytes: number;
  cachedBytes: number;
};

const BINARY = "application/octet-stream";

/** Rooms by REST, which needs no Yjs. `connectRoom` of `@skerry/client/rooms` joins one live. */
export class Rooms {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Rooms by name, page by page. */
  list({ after, limit, signal }: PageOptions = {}): Promise<{ rooms: { name: string; createdAt: number }[]; next: string | null }> {
    return this.#http.json("GET", "/v1/rooms", { query: { after, limit }, signal });
  }

  stats(room: string, options: CallOptions = {}): Promise<RoomStats> {
    return this.#http.json("GET", path(room), { signal: options.signal });
  }

  /**
   * The document as JSON: each shared type by its content.
   * @example const { board } = await client.rooms.read<{ board: Record<string, unknown> }>("flight-desk");
   */
  read<D = Record<string, unknown>>(room: string, options: CallOptions = {}): Promise<D> {
    return this.#http.json("GET", `${path(room)}/doc`, { signal: options.signal });
  }

  /** The document as a Yjs update, or what the holder of `vector` (a Yjs state vector) lacks of it. */
  readUpdate(room: string, { vector, signal }: CallOptions & { vector?: Uint8Array } = {}): Promise<Uint8Array> {
    const query = { vector: vector === undefined ? undefined : toBase64Url(vector) };
    return this.#http.request("GET", `${path(room)}/doc`, { query, headers: { accept: BINARY }, signal }, async (response) => {
      return new Uint8Array(await response.arrayBuffer());
    });
  }

  /**
   * Applies a Yjs update, at most 8 MiB, and resolves when it is durable. `changed` is false if the room had all of it;
   * again does no harm.
   */
  update(room: string, update: Uint8Array, options: CallOptions = {}): Promise<{ changed: boolean }> {
    return this.#http.json("POST", `${path(room)}/doc`, { raw: { type: BINARY, data: update }, signal: options.signal });
  }

  /** Deletes the room and everything in it; who is connected is sent away. Needs `admin`. */
  delete(room: string, options: CallOptions = {}): Promise<void> {
    return this.#http.delete(path(room), "room_not_found", options);
  }
}

export function path(room: string): string {
  return `/v1/rooms/${encodeURIComponent(room)}`;
}
