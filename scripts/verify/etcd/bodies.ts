import type { Random } from "../../../test/sim/kit/random.ts";

/** Few keys, so that operations meet; at most twelve, up to which Go's sort keeps the order of equals (see `EXCLUDED`). */
export const KEYS = ["a", "aa", "ab", "b", "b\0", "c/1", "c/2", "\xff", "\xff\xff"] as const;
const VALUES = ["", "1", "2", "ab", "\x00\xff", "v".repeat(120)];
/** Leases of a long life: none may end by time while operations are compared. */
export const LEASES = ["1", "2", "3", "-7", "9223372036854775807"] as const;
const TTLS = [600, 900, 100_000, 5_000_000_000];

export const b64 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("base64");

type Fields = Record<string, unknown>;

/** The bodies of requests at random, each field now in this notation, now in that. */
export class Bodies {
  readonly #random: Random;
  /** Revisions to ask for are around this one. */
  revision = 1;

  constructor(random: Random) {
    this.#random = random;
  }

  range(): Fields {
    const r = this.#random;
    const fields: Fields = this.#keys("range");
    if (r.chance(0.25)) fields.limit = this.#int(r.int(-1, 4));
    if (r.chance(0.4)) fields.revision = this.#int(this.aRevision());
    if (r.chance(0.4)) fields[this.#name("sort_order")] = this.#enum(["NONE", "ASCEND", "DESCEND"]);
    if (r.chance(0.4)) fields[this.#name("sort_target")] = this.#enum(["KEY", "VERSION", "CREATE", "MOD", "VALUE"]);
    if (r.chance(0.2)) fields.serializable = r.chance(0.8);
    if (r.chance(0.15)) fields[this.#name("keys_only")] = true;
    if (r.chance(0.1)) fields[this.#name("count_only")] = true;
    for (const name of ["min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"])
      if (r.chance(0.08)) fields[this.#name(name)] = this.#int(this.aRevision());
    return fields;
  }

  put(key = this.key()): Fields {
    const r = this.#random;
    const fields: Fields = { key: b64(key) };
    if (r.chance(0.9)) fields.value = b64(r.pick(VALUES));
    if (r.chance(0.3)) fields.lease = r.chance(0.9) ? r.pick(LEASES) : this.#int(0);
    if (r.chance(0.3)) fields[this.#name("prev_kv")] = true;
    if (r.chance(0.07)) {
      fields[this.#name("ignore_value")] = true;
      if (r.chance(0.9)) delete fields.value;
    }
    if (r.chance(0.07)) {
      fields[this.#name("ignore_lease")] = true;
      if (r.chance(0.9)) delete fields.lease;
    }
    return fields;
  }

  deleteRange(): Fields {
    const fields = this.#keys("delete");
    if (this.#random.chance(0.5)) fields[this.#name("prev_kv")] = true;
    return fields;
  }

  /** `depth`: how much deeper transactions may nest. */
  txn(depth = 2): Fields {
    const r = this.#random;
    const fields: Fields = {};
    if (r.chance(0.7)) fields.compare = Array.from({ length: r.int(0, 3) }, () => this.#compare());
    // Whether the lists' keys may meet, within what 16380 allows.
    fields.success = this.#ops(depth);
    if (r.chance(0.7)) fields.failure = this.#ops(depth);
    return fields;
  }

  leaseGrant(): Fields {
    const r = this.#random;
    const ttl = r.chance(0.03) ? 9_000_000_001 : r.pick(TTLS);
    return r.chance(0.1) ? { TTL: this.#int(ttl) } : { ID: r.pick(LEASES), TTL: this.#int(ttl) };
  }

  lease(): Fields {
    return { ID: this.#random.pick([...LEASES, "4", "0"]) };
  }

  /** A watch, without an id. */
  watch(): Fields {
    const r = this.#random;
    const fields: Fields = this.#keys("watch");
    if (r.chance(0.5)) fields[this.#name("start_revision")] = this.#int(Math.max(this.aRevision(), 0));
    if (r.chance(0.3)) fields.filters = r.pick([["NOPUT"], ["NODELETE"], [0], [1], ["NOPUT", "NODELETE"], []]);
    if (r.chance(0.4)) fields[this.#name("prev_kv")] = true;
    if (r.chance(0.2)) fields[this.#name("progress_notify")] = true;
    if (r.chance(0.2)) fields.fragment = true;
    return fields;
  }

  key(): string {
    return this.#random.pick(KEYS);
  }

  /** Mostly one that there was; some that are compacted, to come, or none. */
  aRevision(): number {
    const r = this.#random;
    const roll = r.next();
    if (roll < 0.5) return r.int(Math.max(0, this.revision - 12), this.revision);
    if (roll < 0.7) return r.int(0, this.revision);
    if (roll < 0.78) return this.revision + r.int(1, 3);
    if (roll < 0.81) return -r.int(1, 5);
    return this.revision;
  }

  #keys(kind: "range" | "delete" | "watch"): Fields {
    const r = this.#random;
    const roll = r.next();
    // No key at all is refused, but for a watch.
    const fields: Fields = roll < 0.015 ? {} : { key: b64(this.key()) };
    if (roll > 0.9) fields.key = b64("\0");
    const wide = kind === "delete" ? 0.35 : 0.6;
    if (r.chance(wide)) fields[this.#name("range_end")] = b64(this.#rangeEnd());
    return fields;
  }

  #rangeEnd(): string {
    const r = this.#random;
    return r.chance(0.3) ? "\0" : r.pick([...KEYS, "", "ac", "c0", "d", "\xff\xff\xff"]);
  }

  #compare(): Fields {
    const r = this.#random;
    const fields: Fields = { key: b64(r.chance(0.98) ? this.key() : "") };
    if (r.chance(0.15)) fields[this.#name("range_end")] = b64(this.#rangeEnd());
    if (r.chance(0.9)) fields.result = this.#enum(["EQUAL", "GREATER", "LESS", "NOT_EQUAL"]);
    const target = r.int(0, 4);
    if (target > 0 || r.chance(0.5)) fields.target = r.chance(0.5) ? ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"][target] : target;
    // Sometimes a member of the union that the target does not mean, or none.
    const member = r.chance(0.92) ? target : r.int(0, 5);
    if (member === 0) fields.version = this.#int(r.int(0, 4));
    if (member === 1) fields[this.#name("create_revision")] = this.#int(r.chance(0.4) ? 0 : this.aRevision());
    if (member === 2) fields[this.#name("mod_revision")] = this.#int(this.aRevision());
    if (member === 3) fields.value = b64(r.pick(VALUES));
    if (member === 4) fields.lease = r.chance(0.5) ? this.#int(0) : r.pick(LEASES);
    return fields;
  }

  /**
   * The operations of one branch. Left out (see `EXCLUDED`): deletes from a key on beside puts (22445), and more than one nested
   * transaction (16380).
   */
  #ops(depth: number): Fields[] {
    const r = this.#random;
    const fromKey = r.chance(0.3);
    // Now and then the same key twice, which is refused.
    const keys = r.chance(0.93) ? r.shuffle(KEYS) : KEYS.map(() => this.key());
    let nested = false;
    return Array.from({ length: r.chance(0.005) ? 129 : r.int(0, 4) }, (_, i): Fields => {
      const roll = r.next();
      if (roll < 0.35 && !fromKey) return { [this.#name("request_put")]: this.put(keys[i % keys.length]) };
      if (roll < 0.5) {
        const deleted = this.deleteRange();
        for (const name of ["range_end", "rangeEnd"]) if (!fromKey && deleted[name] === "AA==") delete deleted[name];
        if (fromKey && depth < 2) for (const name of ["range_end", "rangeEnd"]) delete deleted[name];
        return { [this.#name("request_delete_range")]: deleted };
      }
      if (roll < 0.62 && depth > 0 && !nested && !fromKey) {
        nested = true;
        return { [this.#name("request_txn")]: this.txn(depth - 1) };
      }
      return { [this.#name("request_range")]: this.range() };
    });
  }

  /** A 64-bit integer as a number or as text. */
  #int(value: number): number | string {
    return this.#random.chance(0.5) ? value : String(value);
  }

  #enum(names: string[]): number | string {
    const number = this.#random.int(0, names.length - 1);
    return this.#random.chance(0.5) ? number : (names[number] as string);
  }

  /** A field's name as it is in the .proto, or in lowerCamelCase. */
  #name(name: string): string {
    return this.#random.chance(0.7) ? name : name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  }
}
