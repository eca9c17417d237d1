import type { CallOptions, Http } from "../http.ts";
import type { PageOptions } from "../streams/streams.ts";

export type Region = "wnam" | "enam" | "sam" | "weur" | "eeur" | "apac" | "oc" | "afr" | "me";

export type GroupConfig = {
  /** 1, 3 or 5; 3 unless given, or as many as there are regions. */
  replicas?: 1 | 3 | 5;
  /** Where each replica is to live; a choice of ours unless given. */
  regions?: Region[];
};

/** `learner`: it follows the log and counts in no majority. */
export type GroupMember = { id: number; region: Region | null; learner: boolean };
export type GroupInfo = {
  name: string;
  generation: number;
  createdAt: number;
  replicas: number;
  regions: Region[];
  members: GroupMember[];
};

/** One replica as it sees itself; `null` in place of it where it did not answer. */
export type ReplicaState = {
  role: "leader" | "follower" | "candidate" | "precandidate";
  term: number;
  leader: number;
  revision: number;
  /** Of the first and the last entry of its log. */
  firstIndex: number;
  index: number;
  committed: number;
  applied: number;
  bytes: number;
  leases: number;
  incarnation: number;
  /** Where it was found to be; empty: not known. */
  place: string;
  /** Its storage was rolled back: remove it and add another. */
  regressed: boolean;
  /** Why it cannot read its log, where it cannot. */
  halted: string | null;
  /** Requests that wait for an answer. */
  waiting: number;
  /** Written since it last woke. */
  rows: number;
  /**
   * Since it last woke: times it was asked something (to look at it does not count), calls of other replicas that it answered, calls that
   * it made, alarms, and elections won. At rest none of them grows.
   */
  counters: { asks: number; served: number; calls: number; alarms: number; elections: number };
  /** What a leader knows of the others: how far each has its log, and whether it is silent. */
  peers: { id: number; match: number; down: boolean }[];
  /** What is broken on purpose, for development. */
  faults: { hang: boolean; cut: number[]; delay: number; drop: number } | null;
};

/** `leader`: null where none is known. `level`: what a write achieves now. `quorum`: whether a majority answered. */
export type GroupStatus = GroupInfo & {
  leader: number | null;
  term: number;
  revision: number;
  level: "single" | "quorum" | null;
  placement: "measured" | "simulated" | null;
  quorum: boolean;
  /** Whether the deployment takes faults on purpose, for development. */
  faults: boolean;
  status: (GroupMember & { state: ReplicaState | null })[];
};

const BINARY = "application/octet-stream";

/** Groups by REST: their life and their replicas. Changing anything needs `admin`. `openGroup` of `@skerry/client/groups` uses one. */
export class Groups {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Groups by name, page by page. */
  list({ after, limit, signal }: PageOptions = {}): Promise<{ groups: GroupInfo[]; next: string | null }> {
    return this.#http.json("GET", "/v1/groups", { query: { after, limit }, signal });
  }

  /** Creates a group, or confirms that it is so; `conflict` where it exists with another configuration. */
  create(group: string, config: GroupConfig = {}, options: CallOptions = {}): Promise<GroupInfo> {
    return this.#http.json("PUT", path(group), { body: config, signal: options.signal });
  }

  /** Where it stands, replica by replica. */
  status(group: string, options: CallOptions = {}): Promise<GroupStatus> {
    return this.#http.json("GET", path(group), { signal: options.signal });
  }

  /** Deletes a group and everything in it. */
  delete(group: string, options: CallOptions = {}): Promise<void> {
    return this.#http.delete(path(group), "group_not_found", options);
  }

  /** Adds a replica: it follows until it has the log, and then votes, unless it is to stay a learner. Resolves to the members as they are then. */
  addMember(group: string, member: { region?: Region; learner?: boolean } = {}, options: CallOptions = {}): Promise<GroupInfo> {
    return this.#http.json("POST", `${path(group)}/members`, { body: member, signal: options.signal });
  }

  /** Removes a replica and what it holds. */
  removeMember(group: string, id: number, options: CallOptions = {}): Promise<GroupInfo> {
    return this.#http.json("DELETE", `${path(group)}/members/${id}`, { signal: options.signal });
  }

  /** Lets a learner vote. */
  promote(group: string, id: number, options: CallOptions = {}): Promise<GroupInfo> {
    return this.#http.json("POST", `${path(group)}/members/${id}/promote`, { signal: options.signal });
  }

  /** Makes another replica the leader. */
  async transfer(group: string, to: number, options: CallOptions = {}): Promise<void> {
    await this.#http.request("POST", `${path(group)}/transfer`, { body: { to }, signal: options.signal }, () => {});
  }

  /** The whole state, to be kept elsewhere or restored into another group. */
  snapshot(group: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const request = { headers: { accept: BINARY }, signal: options.signal };
    return this.#http.request("GET", `${path(group)}/snapshot`, request, async (response) => new Uint8Array(await response.arrayBuffer()));
  }

  /** Makes a group, which must not exist, with the state of a snapshot. */
  restore(group: string, snapshot: Uint8Array, { replicas, regions }: GroupConfig = {}, options: CallOptions = {}): Promise<GroupInfo> {
    const query = { replicas, regions: regions?.join(",") };
    return this.#http.json("PUT", `${path(group)}/snapshot`, { query, raw: { type: BINARY, data: snapshot }, signal: options.signal });
  }
}

export function path(group: string): string {
  return `/v1/groups/${encodeURIComponent(group)}`;
}
