import { type ErrorCode, SkerryError } from "../../wire/errors.ts";
import type { Refusal } from "../kv/refusals.ts";
import { refusal } from "../kv/refusals.ts";
import { GRPC_CODES, type KvError } from "../kv/types.ts";
import type { Reply } from "../replica/types.ts";

/** What the store refuses, as one of our own codes; every other refusal says that the request is wrong. */
const CODES: Partial<Record<Refusal, ErrorCode>> = {
  keyNotFound: "key_not_found",
  compacted: "revision_compacted",
  futureRevision: "revision_in_future",
  noSpace: "group_full",
  leaseNotFound: "lease_not_found",
  leaseExists: "lease_exists",
  requestTooLarge: "too_large",
  sessionExpired: "lease_not_found",
  electionNotLeader: "not_held",
  electionNoLeader: "not_held",
};
const BY_MESSAGE = new Map(Object.entries(CODES).map(([name, code]) => [refusal(name as Refusal).message, code]));

/** An error of etcd's as one of ours; `extra.grpc` keeps its code, and the sentence is its own. */
export function errorOfKv({ grpc, message }: Pick<KvError, "grpc" | "message">): SkerryError {
  const code = BY_MESSAGE.get(message) ?? (message.startsWith("skerry: ") ? "session_lost" : byGrpc(grpc));
  return new SkerryError(code, message, { extra: { grpc } });
}

function byGrpc(grpc: number): ErrorCode {
  return grpc === GRPC_CODES.unavailable ? "unavailable" : "bad_request";
}

/**
 * Why a replica did not do what was asked. `not_leader` names the leader in `extra.leader` (0: not known); after `no_quorum` a
 * write may have happened or not.
 */
export function errorOfReply(reply: Exclude<Reply, { reply: "ok" }>): SkerryError {
  switch (reply.reply) {
    case "notLeader": {
      const { leader, term } = reply;
      const detail = leader === 0 ? "The replica knows no leader yet." : `The replica does not lead; replica ${leader} does.`;
      return new SkerryError("not_leader", detail, { retryAfter: 0, extra: { leader, term } });
    }
    case "refused":
      return errorOfKv(reply);
    case "unavailable":
      return new SkerryError("no_quorum", reply.message, { retryAfter: reply.retryAfterMs / 1000 });
    default:
      return reply satisfies never;
  }
}
