import { computed, signal } from "@preact/signals";
import { ERRORS, SkerryError } from "@skerry/client";
import { type Entry, type Group, type GroupInfo, type Leadership, openGroup } from "@skerry/client/groups";
import { DESK_GROUP, parseThresholds, THRESHOLDS_KEY, type Thresholds } from "../../../topologies/flight-thresholds.ts";
import type { Paged } from "../platform/answers.ts";
import type { Api } from "../platform/api.ts";
import { may } from "../platform/may.ts";
import { session as current, type Session } from "../platform/session.ts";

export const GROUP = DESK_GROUP;
const PATH = `/v1/groups/${GROUP}`;
/** Everything of the desk is under it: one watch tells all of it. */
const DESK = "desk/";
const ELECTION = "desk/duty";
/** Seconds. Timers of a tab that nobody sees run once a minute: it must not lose the desk by that. */
export const TTL = 90;
const RETRY = 3_000;
/** How often it is looked whether the group was made meanwhile. */
const ABSENT = 15_000;

/** Somebody who has the desk, or stands for it. `since` in Unix milliseconds; null where it is not said. */
export type Officer = { key: string; name: string; since: number | null };

/** Who has the desk, and what it goes by: read once, then told by a watch. */
export class Duty {
  readonly state = signal<"checking" | "absent" | "open">("checking");
  readonly problem = signal<string | null>(null);
  readonly #entries = signal<ReadonlyMap<string, Entry>>(new Map());
  /** In the order in which they came: the first has the desk. */
  readonly officers = computed(() =>
    [...this.#entries.value.values()]
      .filter(({ key }) => key.startsWith(`${ELECTION}/`))
      .sort((a, b) => a.createRevision - b.createRevision)
      .map((entry) => officerOf(entry)),
  );
  /** From where on a flight is unusual; `revision` is the write that set it, 0 where nobody has. */
  readonly thresholds = computed(() => {
    const entry = this.#entries.value.get(THRESHOLDS_KEY);
    return { ...parseThresholds(entry?.text ?? null), revision: entry?.modRevision ?? 0 };
  });
  readonly #api: Api;
  readonly #session: Session;
  readonly #end = new AbortController();
  #group: Group | null = null;
  #recheck = () => {};

  constructor(api: Api, session: Session) {
    this.#api = api;
    this.#session = session;
    void this.#run();
  }

  close(): void {
    this.#end.abort();
    this.#recheck();
  }

  /** Sets the thresholds in the place of those of `revision`. Throws `conflict` where somebody else was quicker. */
  async set(thresholds: Thresholds, revision: number): Promise<void> {
    this.#group ??= openGroup(this.#api.client, GROUP);
    await this.#group.put(THRESHOLDS_KEY, JSON.stringify(thresholds), { ifRevision: revision });
  }

  async create(): Promise<void> {
    await this.#api.send("PUT", PATH, { replicas: 3 });
    this.#recheck();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      let wait = RETRY;
      try {
        if (!may(this.#session, "groups", GROUP, "read")) {
          this.problem.value = `Your token does not grant "read" on groups "${GROUP}".`;
          return;
        }
        if (await this.#exists(signal)) {
          for await (const told of openGroup(this.#api.client, GROUP).follow({ prefix: DESK }, { signal })) {
            const known = told.kind === "snapshot" ? new Map<string, Entry>() : new Map(this.#entries.value);
            if (told.kind === "snapshot") for (const entry of told.entries) known.set(entry.key, entry);
            else for (const { type, key, entry } of told.events) type === "put" ? known.set(key, entry) : known.delete(key);
            this.#entries.value = known;
            this.state.value = "open";
            this.problem.value = null;
          }
        } else {
          this.state.value = "absent";
          this.problem.value = null;
          wait = ABSENT;
        }
      } catch (thrown) {
        if (signal.aborted) return;
        if (!(thrown instanceof SkerryError)) throw thrown;
        this.#api.refused(thrown);
        this.problem.value = thrown.message;
        if (!ERRORS[thrown.code].retryable && thrown.code !== "group_not_found") return;
      }
      await new Promise<void>((resolve) => {
        this.#recheck = resolve;
        setTimeout(resolve, wait);
      });
    }
  }

  /** Whether there is the group: by the list where it may be read, since a browser complains of an answer that says no. */
  async #exists(signal: AbortSignal): Promise<boolean> {
    if (!may(this.#session, "groups", "*", "read")) return true;
    for (let after = ""; ; ) {
      const query: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
      const { groups, next } = await this.#api.get<Paged<"groups", GroupInfo>>(`/v1/groups?limit=1000${query}`, signal);
      if (groups.some(({ name }) => name === GROUP)) return true;
      if (next === null) return false;
      after = next;
    }
  }
}

/** What this tab has: it keeps the desk on every page of the console, until it gives it back, signs out or goes. */
export class Desk {
  readonly mine = signal<"none" | "standing" | "holding">("none");
  /** Why the desk was lost, in a sentence. */
  readonly lost = signal<string | null>(null);
  readonly key = signal<string | null>(null);
  readonly #api: Api;
  readonly #group: Group;
  #leadership: Leadership | null = null;
  #end = new AbortController();

  constructor(api: Api) {
    this.#api = api;
    this.#group = openGroup(api.client, GROUP);
    current.subscribe((known) => {
      if (known.state !== "in" || known.api !== api) void this.leave().catch(() => {});
    });
    addEventListener("pagehide", () => this.#giveBack());
  }

  /** Stands for the desk; takes it once those who came before are gone. */
  async take(name: string): Promise<void> {
    if (this.mine.value !== "none") return;
    this.mine.value = "standing";
    this.lost.value = null;
    this.#end = new AbortController();
    const { signal } = this.#end;
    try {
      const leadership = await this.#group.campaign(ELECTION, JSON.stringify({ name, since: Date.now() }), { ttl: TTL, signal });
      this.#leadership = leadership;
      this.key.value = leadership.key;
      this.mine.value = "holding";
      leadership.signal.addEventListener("abort", () => this.#over(leadership), { once: true });
      // Whoever waited has it from now on, not from when they came.
      await leadership.proclaim(JSON.stringify({ name, since: Date.now() }));
    } catch (thrown) {
      if (signal.aborted) return;
      this.mine.value = this.#leadership === null ? "none" : "holding";
      throw thrown;
    }
  }

  async leave(): Promise<void> {
    const leadership = this.#leadership;
    this.#leadership = null;
    this.key.value = null;
    this.mine.value = "none";
    if (leadership === null) this.#end.abort(new SkerryError("not_held", "The desk is not wanted any more."));
    else await leadership.resign();
  }

  #over(leadership: Leadership): void {
    if (this.#leadership !== leadership) return;
    this.#leadership = null;
    this.key.value = null;
    this.mine.value = "none";
    this.lost.value = "This tab was not heard for too long, and lost the desk.";
  }

  /** The tab goes: the lease would end by itself, but nobody needs to wait for that. */
  #giveBack(): void {
    if (this.#leadership === null) return;
    const { credential } = this.#api;
    const id = BigInt(`0x${this.#leadership.key.slice(ELECTION.length + 1)}`);
    void fetch(`${PATH}/v3/lease/revoke`, {
      method: "POST",
      keepalive: true,
      headers: { "Content-Type": "application/json", ...(credential !== null && { Authorization: `Bearer ${credential}` }) },
      body: JSON.stringify({ ID: String(id) }),
    }).catch(() => {});
  }
}

const desks = new WeakMap<Api, Desk>();

/** The desk of whoever is signed in. */
export function deskOf(api: Api): Desk {
  let desk = desks.get(api);
  if (desk === undefined) {
    desk = new Desk(api);
    desks.set(api, desk);
  }
  return desk;
}

/** Others may have written it by any client: whatever it is, it has a name. */
function officerOf({ key, text }: Entry): Officer {
  try {
    const { name, since } = JSON.parse(text) as { name?: unknown; since?: unknown };
    if (typeof name === "string") return { key, name: name.slice(0, 60), since: typeof since === "number" ? since : null };
  } catch {
    // Not of this console.
  }
  return { key, name: text.slice(0, 60) || "somebody", since: null };
}
