import { waitUntil } from "cloudflare:workers";
import { type Send, sendAlone } from "../../durable-objects/group/ask.ts";
import { isSmall, Lanes } from "./lanes.ts";

// Requests of a Worker only: an object that another waits for may be reset at any time.

/** Whether the platform sees to it that a request that waits for another goes on in its own context. */
const together = Cloudflare.compatibilityFlags.handle_cross_request_promise_resolution === true;

const lanes = new Lanes({ now: () => Date.now(), wait: (ms) => scheduler.wait(ms), waitUntil });

/** As {@link Send}, with what others ask where that can be in nobody's way. */
export const sendTogether: Send = (name, stub, asker, ask, hint) =>
  together && isSmall(ask) ? lanes.send(name, stub, asker, ask, hint) : sendAlone(name, stub, asker, ask, hint);
