import type { Client } from "./client.ts";
import type { Http } from "./http.ts";

const known = new WeakMap<Client, Http>();

/** Lets the other entry points of this package reach what a client is made of. */
export function keepHttp(client: Client, http: Http): Client {
  known.set(client, http);
  return client;
}

/** @throws TypeError for what {@link createClient} did not make */
export function httpOf(client: Client): Http {
  const http = known.get(client);
  if (http === undefined) throw new TypeError("This is not a client that createClient made.");
  return http;
}
