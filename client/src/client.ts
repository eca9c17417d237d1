import { Groups } from "./groups/admin.ts";
import { Http, type TokenSource } from "./http.ts";
import { keepHttp } from "./internals.ts";
import { Models } from "./models.ts";
import { Rooms } from "./rooms/rooms.ts";
import { GLOBAL_RUNTIME, type Runtime } from "./runtime.ts";
import { Streams } from "./streams/streams.ts";
import { Tokens } from "./tokens.ts";

export type ClientOptions = {
  /** Where the deployment answers, such as `https://skerry.example.com`. */
  url: string;
  /** A token or the admin key, or a function that makes a token; without, the client acts as anonymous. */
  token?: TokenSource;
  /** The project that the admin key acts in; `main` unless given. A token belongs to one already. */
  project?: string;
  /** Attempts a request gets where the error allows another; 6 unless given. */
  attempts?: number;
  /** Milliseconds one attempt may take; 30,000 unless given. */
  timeout?: number;
  /** Replaces globals, for tests and unusual surroundings. */
  runtime?: Partial<Runtime>;
};

export interface Client {
  /** Topics, tables, topologies. */
  readonly streams: Streams;
  /** Yjs documents by REST. `connectRoom` of `@skerry/client/rooms` joins one live. */
  readonly rooms: Rooms;
  /** Groups by REST. `openGroup` of `@skerry/client/groups` reads, writes, watches and locks. */
  readonly groups: Groups;
  /** Scores by models beside the data. */
  readonly models: Models;
  readonly tokens: Tokens;
  /** What this client has seen, as an opaque token; {@link Client.see} gives it to another. Null before the first answer. */
  readonly context: string | null;
  /** From here on, reads show at least what `context` has seen. */
  see(context: string): void;
}

/**
 * A client of one deployment. It sends back what it has seen with every request, so it reads its own writes.
 * @example
 * const client = createClient({ url: "http://localhost:8787", token });
 * await client.streams.topic("orders").append([{ shop: "oslo", price: 12 }]);
 * @throws TypeError where `url` is not an http or https URL
 */
export function createClient(options: ClientOptions): Client {
  if (!/^https?:$/.test(new URL(options.url).protocol)) throw new TypeError(`"${options.url}" is not an http or https URL.`);
  const runtime = { ...GLOBAL_RUNTIME, ...options.runtime };
  const { url, token, project, attempts = 6, timeout = 30_000 } = options;
  const http = new Http({ url, token, project, attempts, timeout, runtime });
  const client: Client = {
    streams: new Streams(http),
    rooms: new Rooms(http),
    groups: new Groups(http),
    models: new Models(http),
    tokens: new Tokens(http),
    get context() {
      return http.context;
    },
    see: (context) => http.see(context),
  };
  return keepHttp(client, http);
}
