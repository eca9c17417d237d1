import { GRPC_CODES, KvError } from "../kv/types.ts";
import { isUnreadable } from "./fields.ts";

/** gRPC's codes, with those that the store has no use for. */
export const GATEWAY_CODES = {
  canceled: 1,
  deadlineExceeded: 4,
  permissionDenied: 7,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unauthenticated: 16,
  ...GRPC_CODES,
} as const;

/** gRPC code -> HTTP status, as the gateway (grpc-gateway v1) maps them. */
const STATUS: Record<number, number> = {
  0: 200,
  1: 408,
  2: 500,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 412,
  10: 409,
  11: 400,
  12: 501,
  13: 500,
  14: 503,
  15: 500,
  16: 401,
};

const STATUS_TEXT: Record<number, string> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** The HTTP status of a gRPC code. */
export function httpStatus(grpc: number): number {
  return STATUS[grpc] ?? 500;
}

/** The body of an error that is the whole answer. */
export function errorBody(grpc: number, message: string): string {
  const said = goString(message);
  return grpc === 0 ? `{"error":${said},"message":${said}}` : `{"error":${said},"message":${said},"code":${grpc}}`;
}

/** The line of an error that ends a stream which has begun. */
export function streamErrorLine(grpc: number, message: string): string {
  const status = httpStatus(grpc);
  return `{"error":{"grpc_code":${grpc},"http_code":${status},"message":${goString(message)},"http_status":"${STATUS_TEXT[status]}"}}\n`;
}

/**
 * What was thrown while a request was read, as the error of etcd's that it is; anything else is thrown on.
 * @param code what the gateway answers for what it cannot read: `invalidArgument`, and `unknown` where requests stream.
 */
export function readError(thrown: unknown, code: number = GATEWAY_CODES.invalidArgument): KvError {
  if (thrown instanceof KvError) return thrown;
  if (isUnreadable(thrown)) return new KvError(code, thrown.message);
  throw thrown;
}

/** A refusal as the services Lock and Election pass it on: they are clients of the store, and lose its code. */
export function concurrencyError(error: KvError): KvError {
  return error.grpc === GATEWAY_CODES.canceled ? error : new KvError(GATEWAY_CODES.unknown, error.message);
}

const UNSAFE: Record<string, string> = { "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029" };

/** A JSON string as Go writes it: fit for HTML. */
export function goString(said: string): string {
  return JSON.stringify(said).replace(/[<>&\u2028\u2029]/g, (char) => UNSAFE[char] as string);
}
