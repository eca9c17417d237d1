// What the runtime itself can do: a Worker in front of an object that does nothing, and one that writes a row.
import { DurableObject } from "cloudflare:workers";

export class Ceiling extends DurableObject {
  #n = 0;
  nothing() {
    return { value: null };
  }
  row(key, value) {
    if (this.#n++ === 0) this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID");
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO kv VALUES (?, ?)", key, value);
    return { value: null };
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const { key, value } = await request.json();
    if (pathname === "/empty") return Response.json({ value: null });
    const stub = env.CEILING.getByName("one");
    return Response.json(await (pathname === "/row" ? stub.row(key, value) : stub.nothing()));
  },
};
