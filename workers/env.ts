import type { Actor } from "../core/wire/grant.ts";
import type { Scope } from "../core/wire/names.ts";

/** What every route and middleware of the app shares: the bindings, and what the middleware has established. */
export type AppEnv = {
  Bindings: Env;
  Variables: {
    requestId: string;
    /** W3C trace context of this request, as it travels on to objects and over the queue. */
    traceparent: string;
    actor: Actor;
    scope: Scope;
  };
};
