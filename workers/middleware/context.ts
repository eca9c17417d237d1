import type { Context } from "hono";
import type { Answer, Level } from "../../core/wire/answer.ts";
import { decodeContext, encodeContext, NOTHING_SEEN, type Seen, withPosition } from "../../core/wire/context.ts";
import type { AppEnv } from "../env.ts";

export const CONTEXT_HEADER = "Skerry-Context";
export const LEVEL_HEADER = "Skerry-Level";

/** From the weakest promise to the strongest. */
const STRENGTH: Level[] = ["eventual", "stale", "bounded", "session", "single", "durable", "quorum", "linearizable"];

const incoming = new WeakMap<Context<AppEnv>, Seen>();

/** The position of an object (by its full name) that the caller has seen, or null. Throws `bad_context`. */
export function seen(c: Context<AppEnv>, object: string): number | null {
  return seenBy(c).get(object) ?? null;
}

/** The objects under a prefix of their names that the caller has seen. Throws `bad_context`. */
export function seenUnder(c: Context<AppEnv>, prefix: string): string[] {
  return [...seenBy(c).keys()].filter((name) => name.startsWith(prefix));
}

/** Takes an object that is gone for good out of the context, so that the caller need not carry it on. */
export function forget(c: Context<AppEnv>, object: string): void {
  const rest = new Map(seenBy(c));
  rest.delete(object);
  incoming.set(c, rest);
}

function seenBy(c: Context<AppEnv>): Seen {
  let known = incoming.get(c);
  if (known === undefined) {
    const token = c.req.header(CONTEXT_HEADER);
    known = token === undefined || token === "" ? NOTHING_SEEN : decodeContext(token, c.get("scope"));
    incoming.set(c, known);
  }
  return known;
}

/** Counts an answer's rows and merges its position into the context that the response will carry. */
export function note<T>(c: Context<AppEnv>, answer: Answer<T>): T {
  const merged = withPosition(seenBy(c), answer.position);
  incoming.set(c, merged);
  c.get("used").rows += answer.rows ?? 0;
  const before = outgoing.get(c);
  // A response built from several answers promises no more than the weakest of them.
  const level = before !== undefined && STRENGTH.indexOf(before.level) < STRENGTH.indexOf(answer.level) ? before.level : answer.level;
  const simulated = before?.simulated === true || answer.placement === "simulated";
  outgoing.set(c, { seen: merged, level, simulated });
  return answer.value;
}

const outgoing = new WeakMap<Context<AppEnv>, { seen: Seen; level: Level; simulated: boolean }>();

/** The headers that the answers noted so far demand. */
export function contextHeaders(c: Context<AppEnv>): Record<string, string> {
  const out = outgoing.get(c);
  if (out === undefined) return {};
  const token = encodeContext(out.seen, c.get("scope"));
  // That it outlives the loss of a place is true only where the places are.
  const level = out.level === "quorum" && out.simulated ? "quorum; placement=simulated" : out.level;
  return { [LEVEL_HEADER]: level, ...(token !== null && { [CONTEXT_HEADER]: token }) };
}
