/**
 * Every error Skerry reports, in one table: code -> HTTP status, WebSocket close code, retryable or not.
 *
 * Codes are stable: clients switch on them. Close codes follow one rule: 44xx is permanent (the client must change
 * something before it tries again), 1013 and 1012 mean "try again later".
 */
export const ERRORS = {
  // The request is wrong.
  bad_json: { status: 400, close: 4400, retryable: false, title: "The body is not valid JSON" },
  bad_request: { status: 400, close: 4400, retryable: false, title: "The request is not valid" },
  bad_name: { status: 400, close: 4400, retryable: false, title: "The name is not valid" },
  bad_record: { status: 400, close: 4400, retryable: false, title: "A record is not valid" },
  bad_query: { status: 400, close: 4400, retryable: false, title: "The query makes no sense" },
  bad_offset: { status: 400, close: 4400, retryable: false, title: "The offset is not valid" },
  bad_context: { status: 400, close: 4400, retryable: false, title: "The Skerry-Context token is not valid" },
  bad_model: { status: 400, close: 4400, retryable: false, title: "The model artifact is not valid" },
  bad_frame: { status: 400, close: 4400, retryable: false, title: "The frame is not valid" },
  producer_headers: { status: 400, close: 4400, retryable: false, title: "The producer headers are incomplete or malformed" },
  record_in_future: { status: 422, close: 4422, retryable: false, title: "A record is further in the future than the topic allows" },
  // Who is asking.
  token_missing: { status: 401, close: 4401, retryable: false, title: "A token is needed" },
  token_invalid: { status: 401, close: 4401, retryable: false, title: "The token is not valid" },
  token_expired: { status: 401, close: 4408, retryable: false, title: "The token has expired" },
  token_revoked: { status: 401, close: 4409, retryable: false, title: "The token was revoked" },
  forbidden: { status: 403, close: 4403, retryable: false, title: "The token does not grant this" },
  project_mismatch: { status: 403, close: 4403, retryable: false, title: "The token belongs to another project" },
  admin_only: { status: 403, close: 4403, retryable: false, title: "Only the admin key may do this" },
  // What is there.
  route_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such route" },
  method_not_allowed: { status: 405, close: 4405, retryable: false, title: "The route does not take this method" },
  topic_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such topic" },
  partition_not_found: { status: 404, close: 4404, retryable: false, title: "The topic has no such partition" },
  table_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such table" },
  topology_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such topology" },
  room_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such room" },
  group_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such group" },
  key_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such key" },
  lease_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such lease, or it has ended" },
  model_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such model" },
  token_not_found: { status: 404, close: 4404, retryable: false, title: "There is no such token" },
  offset_trimmed: { status: 410, close: 4410, retryable: false, title: "The offset is older than what is retained" },
  revision_compacted: { status: 410, close: 4410, retryable: false, title: "The revision is older than what is retained" },
  revision_in_future: { status: 400, close: 4400, retryable: false, title: "The revision has not happened yet" },
  offset_archived: { status: 503, close: 1012, retryable: true, title: "The offset is in the archive" },
  // What is already so.
  conflict: { status: 409, close: 4409, retryable: false, title: "It exists with another configuration" },
  sequence_gap: { status: 409, close: 4409, retryable: false, title: "A producer sequence number was skipped" },
  stale_epoch: { status: 403, close: 4403, retryable: false, title: "The producer epoch was superseded" },
  stale_metadata: { status: 409, close: 1012, retryable: true, title: "The metadata used was out of date" },
  stale_position: { status: 409, close: 1012, retryable: true, title: "The object has not yet seen what the caller has" },
  lease_exists: { status: 409, close: 4409, retryable: false, title: "The lease exists already" },
  not_held: { status: 409, close: 4409, retryable: false, title: "The lock, the job or the leadership is not held (any more)" },
  session_lost: { status: 409, close: 4409, retryable: false, title: "What became of the request is not remembered any more" },
  not_a_quorum_placement: {
    status: 409,
    close: 4409,
    retryable: false,
    title: "The replicas' places do not make a quorum that outlives one of them",
  },
  diverged: { status: 409, close: 4412, retryable: false, title: "The client followed another history of the document" },
  content_type: { status: 415, close: 4415, retryable: false, title: "The content type is not the one expected" },
  // Limits and load.
  too_large: { status: 413, close: 1009, retryable: false, title: "The body is larger than the limit" },
  room_full: { status: 413, close: 4413, retryable: false, title: "The room has no space left" },
  group_full: { status: 413, close: 4413, retryable: false, title: "The group has no space left" },
  rate_limited: { status: 429, close: 1013, retryable: true, title: "Too many requests" },
  overloaded: { status: 429, close: 1013, retryable: true, title: "The object is overloaded" },
  slow_consumer: { status: 429, close: 1013, retryable: true, title: "The connection does not read fast enough" },
  not_leader: { status: 503, close: 1012, retryable: true, title: "Another replica leads" },
  no_quorum: { status: 503, close: 1012, retryable: true, title: "No majority of the replicas answered in time" },
  timed_out: { status: 504, close: 1012, retryable: true, title: "It did not happen within the time that was given" },
  unavailable: { status: 503, close: 1012, retryable: true, title: "Temporarily unavailable" },
  newer_format: { status: 503, close: 1012, retryable: true, title: "The stored data is of a newer version than this code" },
  // Our fault.
  misconfigured: { status: 500, close: 4500, retryable: false, title: "The deployment is misconfigured" },
  corrupt: { status: 500, close: 4500, retryable: false, title: "Stored data failed its checksum" },
  model_failed: { status: 500, close: 4500, retryable: false, title: "The model failed on this input" },
  internal: { status: 500, close: 1011, retryable: true, title: "An internal error" },
} as const satisfies Record<string, ErrorRow>;

type ErrorRow = { status: number; close: number; retryable: boolean; title: string };
export type ErrorCode = keyof typeof ERRORS;

export type ErrorOptions = {
  /** Seconds after which a retry is sensible; becomes `Retry-After`. */
  retryAfter?: number;
  /** Extra members of the problem document, and `headers` that a standard protocol demands with this error. */
  extra?: Record<string, unknown>;
  headers?: Record<string, string>;
  cause?: unknown;
};

/**
 * The one error class. Across RPC a Durable Object's error arrives as a plain `Error` with its own properties, so
 * read it with {@link errorOf}, never with `instanceof`.
 */
export class SkerryError extends Error {
  readonly code: ErrorCode;
  readonly retryAfter?: number;
  readonly extra?: Record<string, unknown>;
  readonly headers?: Record<string, string>;

  constructor(code: ErrorCode, detail: string, options: ErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SkerryError";
    this.code = code;
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter;
    if (options.extra !== undefined) this.extra = options.extra;
    if (options.headers !== undefined) this.headers = options.headers;
  }
}

/** Reads any thrown value, local or from across RPC, as a {@link SkerryError}; what carries no known code is `internal`. */
export function errorOf(thrown: unknown): SkerryError {
  if (thrown instanceof SkerryError) return thrown;
  const remote = thrown as Partial<SkerryError> & { overloaded?: boolean; retryable?: boolean };
  if (typeof remote?.code === "string" && Object.hasOwn(ERRORS, remote.code)) {
    return new SkerryError(remote.code as ErrorCode, String(remote.message), {
      ...(remote.retryAfter !== undefined && { retryAfter: remote.retryAfter }),
      ...(remote.extra !== undefined && { extra: remote.extra }),
      ...(remote.headers !== undefined && { headers: remote.headers }),
      cause: thrown,
    });
  }
  if (remote?.overloaded)
    return new SkerryError("overloaded", "The object has too many requests queued.", { retryAfter: 1, cause: thrown });
  if (remote?.retryable) return new SkerryError("unavailable", "The object was restarting.", { retryAfter: 1, cause: thrown });
  return new SkerryError("internal", "Something went wrong on our side.", { cause: thrown });
}

/** The RFC 9457 problem document of an error. */
export function problemOf(error: SkerryError, instance?: string) {
  const row = ERRORS[error.code];
  return {
    ...error.extra,
    type: `/docs/errors#${error.code}`,
    title: row.title,
    status: row.status,
    code: error.code,
    detail: error.message,
    retryable: row.retryable,
    ...(instance !== undefined && { instance }),
  };
}
