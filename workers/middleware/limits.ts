import type { Context, MiddlewareHandler } from "hono";
import { SkerryError } from "../../core/wire/errors.ts";
import { MAX_BODY_BYTES, MAX_SNAPSHOT_BYTES, SAMPLES } from "../../core/wire/limits.ts";
import type { AppEnv } from "../env.ts";

const REFUSED_MS = 10_000;
const MAX_REFUSED = 4_096;
/** Keys that the limiter refused lately, until when (Unix ms), in this isolate. */
const refused = new Map<string, number>();

/** Bodies that may be larger, if they say how large they are. */
const LARGER = [{ method: "PUT", path: /^\/v1\/groups\/[^/]+\/snapshot$/, maxSize: MAX_SNAPSHOT_BYTES }];

/**
 * Refuses larger bodies by their Content-Length, or while reading where there is none: such a body is held in memory,
 * up to the limit. Counts what came. A route may set a lower limit of its own. Throws `too_large`.
 */
export function limitBody(limit = MAX_BODY_BYTES): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { body } = c.req.raw;
    let maxSize = limit;
    let size = c.get("bodyBytes");
    if (body !== null && size === undefined) {
      size = Number(c.req.header("content-length") ?? Number.NaN);
      if (Number.isInteger(size)) {
        maxSize = LARGER.find(({ method, path }) => c.req.method === method && path.test(c.req.path))?.maxSize ?? maxSize;
      } else {
        const bytes = await readAtMost(body, maxSize);
        size = bytes.byteLength;
        c.req.raw = new Request(c.req.raw, { body: bytes });
      }
      c.set("bodyBytes", size);
      c.get("used").bytesIn += size;
    }
    if (size !== undefined && size > maxSize) throw tooLarge(maxSize);
    await next();
  };
}

async function readAtMost(body: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel();
      throw tooLarge(limit);
    }
    pieces.push(value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

function tooLarge(limit: number): SkerryError {
  return new SkerryError("too_large", `The body is larger than ${limit} bytes. Send less at a time.`);
}

/**
 * Counts a request against its address: what comes without a token, and what has yet to prove that its token is one.
 * Limits hold per location of the network and are meant against abuse, not for accounting. Throws `rate_limited`.
 */
export async function limitAddress(c: Context<AppEnv>): Promise<void> {
  await limit(c, "RATE_ADDRESS", `address/${addressOf(c)}`, "This address sends too many requests without a valid token.");
}

/** Counts a request against its token. A batch of appended records is one request. Throws `rate_limited`. */
export async function limitToken(c: Context<AppEnv>, key: string): Promise<void> {
  await limit(
    c,
    "RATE_TOKEN",
    `token/${key}`,
    "This token sends too many requests. Send records in batches, or share the load between tokens.",
  );
}

/**
 * Counts one request in so many ({@link SAMPLES}), which the limits in wrangler.toml are meant for: asking the limiter costs more
 * than most requests. A key that it refused stays refused in this isolate for a while, so that the requests between
 * two samples do not slip through.
 */
async function limit(c: Context<AppEnv>, limiter: keyof typeof SAMPLES, key: string, detail: string): Promise<void> {
  const now = Date.now();
  const until = refused.get(key) ?? 0;
  if (now >= until) {
    if (Math.random() * SAMPLES[limiter] >= 1) return;
    const { success } = await c.env[limiter].limit({ key });
    if (success) return;
    if (refused.size >= MAX_REFUSED) refused.delete(refused.keys().next().value as string);
    refused.delete(key);
    refused.set(key, now + REFUSED_MS);
  }
  throw new SkerryError("rate_limited", detail, { retryAfter: REFUSED_MS / 1000 });
}

/** The client's address as the network saw it. IPv6 counts by /64, which one household or machine holds. */
function addressOf(c: Context<AppEnv>): string {
  const address = c.req.header("cf-connecting-ip") ?? "local";
  if (!address.includes(":")) return address;
  const [head = ""] = address.split("::", 1);
  return `${head.split(":").slice(0, 4).join(":")}::/64`;
}
