import type { ContentfulStatusCode } from "hono/utils/http-status";
import { GATEWAY_CODES, httpStatus } from "../../core/consensus/etcd/errors.ts";
import { ERRORS, type ErrorCode, type SkerryError } from "../../core/wire/errors.ts";
import { shapeErrors } from "../middleware/problem.ts";

/** Our codes that etcd has an error of its own for: its gRPC code and its words, which stock clients switch on. */
const AS_ETCD: { [code in ErrorCode]?: [grpc: number, message: string] } = {
  token_missing: [GATEWAY_CODES.unauthenticated, "etcdserver: invalid auth token"],
  token_invalid: [GATEWAY_CODES.unauthenticated, "etcdserver: invalid auth token"],
  token_expired: [GATEWAY_CODES.unauthenticated, "etcdserver: invalid auth token"],
  token_revoked: [GATEWAY_CODES.unauthenticated, "etcdserver: invalid auth token"],
  forbidden: [GATEWAY_CODES.permissionDenied, "etcdserver: permission denied"],
  project_mismatch: [GATEWAY_CODES.permissionDenied, "etcdserver: permission denied"],
  admin_only: [GATEWAY_CODES.permissionDenied, "etcdserver: permission denied"],
  too_large: [GATEWAY_CODES.invalidArgument, "etcdserver: request is too large"],
  rate_limited: [GATEWAY_CODES.resourceExhausted, "etcdserver: too many requests"],
  overloaded: [GATEWAY_CODES.resourceExhausted, "etcdserver: too many requests"],
  no_quorum: [GATEWAY_CODES.unavailable, "etcdserver: request timed out"],
  unavailable: [GATEWAY_CODES.unavailable, "etcdserver: no leader"],
};

/** By status, for the codes that etcd knows nothing of. */
const BY_STATUS: Record<number, number> = {
  400: GATEWAY_CODES.invalidArgument,
  401: GATEWAY_CODES.unauthenticated,
  403: GATEWAY_CODES.permissionDenied,
  404: GATEWAY_CODES.notFound,
  405: GATEWAY_CODES.unimplemented,
  409: GATEWAY_CODES.aborted,
  413: GATEWAY_CODES.invalidArgument,
  429: GATEWAY_CODES.resourceExhausted,
  503: GATEWAY_CODES.unavailable,
};

/** An error of ours as etcd would say it. */
export function etcdError(error: SkerryError): { grpc: number; message: string } {
  const known = AS_ETCD[error.code];
  if (known !== undefined) return { grpc: known[0], message: known[1] };
  return { grpc: BY_STATUS[ERRORS[error.code].status] ?? GATEWAY_CODES.internal, message: error.message };
}

/** Errors below these paths have etcd's shape and status; our own sentence stands beside it, as `detail`. */
export function shapeAsEtcd(): void {
  for (const prefix of ["/v3", "/v1/groups/*/v3"])
    shapeErrors(prefix, (error, status) => {
      const { grpc, message } = etcdError(error);
      const detail = message === error.message ? {} : { detail: error.message };
      // A route or method that is not there is HTTP's own matter.
      const own = error.code === "route_not_found" || error.code === "method_not_allowed";
      return {
        body: { error: message, message, code: grpc, ...detail },
        status: own ? status : (httpStatus(grpc) as ContentfulStatusCode),
      };
    });
}
