import { Http, type TokenSource } from "./http.ts";
import { GLOBAL_RUNTIME, type Runtime } from "./runtime.ts";
import { Tables } from "./tables.ts";
import { Tokens } from "./tokens.ts";
import { Topics } from "./topics.ts";

export type ClientOptions = {
  /** Where the deployment answers, such as `https://skerry.example.com`. */
  url: string;
  /** A token or the admin key, or a function that makes a token; without, the client acts as anonymous. */
  token?: TokenSource;
  /** Attempts a request gets where the error allows another; 6 unless given. */
  attempts?: number;
  /** Milliseconds one attempt may take; 30,000 unless given. */
  timeout?: number;
  /** Replaces globals, for tests and unusual surroundings. */
  runtime?: Partial<Runtime>;
};

export type Client = {
  readonly tables: Tables;
  readonly topics: Topics;
  readonly tokens: Tokens;
  /** What this client has seen, as an opaque token; {@link Client.see} gives it to another. Null before the first answer. */
  readonly context: string | null;
  /** From here on, reads show at least what `context` has seen. */
  see(context: string): void;
};

/**
 * A client of one deployment. It sends back what it has seen with every request, so it reads its own writes.
 * @example const client = createClient({ url: "http://localhost:8787", token }); await client.tables.query("delays", { key: "ATL" });
 * @throws TypeError where `url` is not an http or https URL
 */
export function createClient(options: ClientOptions): Client {
  if (!/^https?:$/.test(new URL(options.url).protocol)) throw new TypeError(`"${options.url}" is not an http or https URL.`);
  const runtime = { ...GLOBAL_RUNTIME, ...options.runtime };
  const { url, token, attempts = 6, timeout = 30_000 } = options;
  const http = new Http({ url, token, attempts, timeout, runtime });
  const tokens = new Tokens(http);
  return {
    tables: new Tables(http, tokens),
    topics: new Topics(http),
    tokens,
    get context() {
      return http.context;
    },
    see: (context) => http.see(context),
  };
}
