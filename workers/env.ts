import type { Actor } from "../core/wire/grant.ts";
import type { Capability, Scope } from "../core/wire/names.ts";

/** What every route and middleware of the app shares: the bindings, and what the middleware has established. */
export type AppEnv = {
  Bindings: Env;
  Variables: {
    requestId: string;
    /** W3C trace context of this request, as it travels on to objects and over the queue. */
    traceparent: string;
    actor: Actor;
    scope: Scope;
    /** The capability that this request is accounted to: the first one it was authorized for. */
    capability?: Capability;
    /** Rows and bytes that routes have counted beyond what the middleware sees. */
    used: { rows: number; bytesIn: number; bytesOut: number };
    /** Bytes of the request's body, where it has one. */
    bodyBytes?: number;
    /** Spans for `Server-Timing`, in milliseconds. */
    spans: { name: string; ms: number }[];
    /** The answer is JSON that comes over time, line by line, and must not be waited for. */
    streaming?: boolean;
    /** When it began, by `performance.now()`. */
    began: number;
    /** The response has its headers already; the bytes of its body. */
    dressed?: number;
    /** The code of the error this request ended with, for the log and the metrics. */
    errorCode?: string;
  };
};
