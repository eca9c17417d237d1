import type { Answer } from "./target.ts";

/**
 * What may differ between two servers that behave the same, taken out of an answer: ids of cluster and member, the term, and the
 * seconds that a lease has left. Everything else is compared as text, so that the order of fields counts too.
 */
export function masked(path: string, text: string): string {
  const same = text.replace(/"(cluster_id|member_id|raft_term)":"\d+"/g, '"$1":"*"');
  // The keys in the order of a hash table.
  if (path.endsWith("lease/timetolive")) return same.replace(/"TTL":"\d+"/, '"TTL":"*"').replace(/"keys":\[(.*)\]/, sorted("keys"));
  // Sorted by the time that is left, which is the same for leases of one TTL.
  if (path.endsWith("lease/leases")) return same.replace(/"leases":\[(.*)\]/, sorted("leases"));
  return same;
}

const sorted = (name: string) => (_: string, list: string) => `"${name}":[${list.split(",").sort().join(",")}]`;

/** The names of what one side chose by itself, and its values. */
export class Names {
  readonly #values = new Map<string, string>();

  /** Remembers what step `index` was given: a lease's id, or a lock's key with the lease in it. */
  learn(index: number, path: string, request: string, answer: Answer): void {
    if (answer.status !== 200) return;
    if (path === "lease/grant" && !/"ID"/.test(request)) {
      const id = /"ID":"(-?\d+)"/.exec(answer.body)?.[1];
      if (id !== undefined) this.#values.set(`@${index}`, id);
    }
    if (path === "lock/lock" && !/"lease"/.test(request)) {
      const key = /"key":"([^"]*)"/.exec(answer.body)?.[1];
      if (key === undefined) return;
      this.#values.set(`@key:${index}`, key);
      const hex = /\/([0-9a-f]+)$/.exec(Buffer.from(key, "base64").toString("latin1"))?.[1];
      if (hex !== undefined) this.#values.set(`@${index}`, BigInt.asIntN(64, BigInt(`0x${hex}`)).toString());
    }
  }

  /** The request as this side understands it. */
  fill(body: string): string {
    return body.includes('"@') ? body.replace(/"(@[^"]*)"/g, (whole, name: string) => `"${this.#values.get(name) ?? whole}"`) : body;
  }

  /** The answer in names that both sides share. */
  blank(text: string): string {
    let same = text;
    for (const [name, value] of this.#values) same = same.replaceAll(`"${value}"`, `"${name}"`);
    return same;
  }
}

/**
 * What a stream has said: for watches, each watch's events in order and what else was said of it in order; how the events were
 * grouped into answers depends on when they came. Anything else line by line.
 *
 * @param compacted revisions that were compacted to: whether etcd tells of deletions made there depends on time.
 */
export function heard(path: string, text: string, compacted: ReadonlySet<string> = new Set()): string[] {
  // White space before an answer is how a server looks after one who waits.
  const all = text.split("\n").map((line) => line.trimStart());
  const lines = all.filter((line, at) => line !== "" && (at < all.length - 1 || path !== "watch"));
  if (path !== "watch") return lines.map((line) => masked(path, line));
  const said = new Map<string, string[]>();
  for (const line of lines) {
    const { result } = JSON.parse(line) as {
      result?: { watch_id?: string; events?: { type?: string; kv: { mod_revision: string } }[] };
    };
    const id = `watch ${result?.watch_id ?? "0"}`;
    const events = result?.events ?? [];
    const certain = events.filter(({ type, kv }) => type !== "DELETE" || !compacted.has(kv.mod_revision));
    // The header of events has the revision at which they were sent, which is a matter of time.
    const all = events.length > 0 ? certain.map((event) => JSON.stringify(event)) : [masked(path, line)];
    said.set(id, [...(said.get(id) ?? []), ...all]);
  }
  return [...said].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([id, all]) => all.map((each) => `${id}: ${each}`));
}

/**
 * Revisions of which a watch told a part in one answer and the rest in another, though it did not ask for fragments: etcd's
 * guarantee of atomic events broken.
 */
export function torn(text: string): string[] {
  const ended = new Map<string, number>();
  const wrong: string[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    const { result } = JSON.parse(line) as { result?: { watch_id?: string; events?: { kv: { mod_revision: string } }[] } };
    const [id, events] = [result?.watch_id ?? "0", result?.events ?? []];
    if (events.length === 0) continue;
    const revisions = events.map(({ kv }) => Number(kv.mod_revision));
    const before = ended.get(id);
    if (before !== undefined && revisions[0]! <= before) wrong.push(`watch ${id} told of revision ${revisions[0]} in two answers`);
    if (revisions.some((revision, at) => at > 0 && revision < revisions[at - 1]!))
      wrong.push(`watch ${id}: revisions out of order in ${line}`);
    ended.set(id, revisions.at(-1)!);
  }
  return wrong;
}
