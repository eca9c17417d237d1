import { goString } from "./errors.ts";
import { type Message, text } from "./fields.ts";
import { type Facts, header } from "./kv-responses.ts";

/** What is asked of a cluster beside its keys: the services Maintenance, Cluster and Auth, as far as a group has them. */

/** The version whose answers these are: what stock clients read to choose their dialect. */
export const ETCD_VERSION = "3.4.23";
export const ETCD_CLUSTER_VERSION = "3.4.0";

export type StatusFacts = {
  revision: number;
  /** Bytes of keys, values and history, in memory; etcd says the size of its file. */
  bytes: number;
  leader: bigint;
  index: number;
  applied: number;
  term: number;
  learner: boolean;
};
export type MemberFacts = { id: bigint; name: string; peerURLs: string[]; clientURLs: string[]; learner: boolean };

export function writeStatus(facts: Facts, status: StatusFacts): string {
  let json = `{"header":${header(facts, status.revision)},"version":"${ETCD_VERSION}"`;
  if (status.bytes !== 0) json += `,"dbSize":"${status.bytes}"`;
  if (status.leader !== 0n) json += `,"leader":"${status.leader}"`;
  if (status.index !== 0) json += `,"raftIndex":"${status.index}"`;
  if (status.term !== 0) json += `,"raftTerm":"${status.term}"`;
  if (status.applied !== 0) json += `,"raftAppliedIndex":"${status.applied}"`;
  if (status.bytes !== 0) json += `,"dbSizeInUse":"${status.bytes}"`;
  if (status.learner) json += ',"isLearner":true';
  return `${json}}`;
}

/** The list of members has no revision in its header. */
export function writeMembers(facts: Facts, members: MemberFacts[]): string {
  return `{"header":${header(facts, 0)},"members":[${members.map(writeMember).join(",")}]}`;
}

function writeMember({ id, name, peerURLs, clientURLs, learner }: MemberFacts): string {
  let json = `{"ID":"${id}"`;
  if (name !== "") json += `,"name":${goString(name)}`;
  if (peerURLs.length > 0) json += `,"peerURLs":[${peerURLs.map(goString).join(",")}]`;
  if (clientURLs.length > 0) json += `,"clientURLs":[${clientURLs.map(goString).join(",")}]`;
  return `${json}${learner ? ',"isLearner":true' : ""}}`;
}

export function readAuthenticate(of: Message): { name: string; password: string } {
  const name = text(of, "name");
  return { name, password: text(of, "password") };
}

export function writeAuthenticate(facts: Facts, token: string): string {
  return `{"header":${header(facts, 0)},"token":${goString(token)}}`;
}

/** Answers `GET /version`. */
export function writeVersion(): string {
  return `{"etcdserver":"${ETCD_VERSION}","etcdcluster":"${ETCD_CLUSTER_VERSION}"}`;
}
