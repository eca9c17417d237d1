import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkerryError } from "./errors.ts";
import { encode, MAX_CREDIT, MAX_POSITION_LENGTH, parseServerFrame, type ServerFrame } from "./frames.ts";
import { type Effect, MAX_STATE_BYTES, MAX_SUBSCRIPTIONS, publication, Session } from "./session.ts";

const NOW = 1_000_000;

function open(expiresAt: number | null = null): Session {
  return Session.open(expiresAt).session;
}

function frames(effects: Effect[]): ServerFrame[] {
  return effects.flatMap((effect) => (effect.kind === "send" ? [parseServerFrame(effect.text)] : []));
}

function asks(effects: Effect[]) {
  return effects.flatMap((effect) => (effect.kind === "ask" ? [effect.ask] : []));
}

function subscribe(session: Session, id: number, target: string, credit: number, from?: string) {
  return asks(session.onFrame(encode({ type: "subscribe", id, target, credit, ...(from !== undefined && { from }) }), NOW))[0]!;
}

const delta = (n: number) => ({ position: `g.${n}`, kind: "delta" as const, payload: n });
const change = (n: number) => publication("t", `g.${n - 1}`, `g.${n}`, n);

/** A session with subscription 1 of "t", live at g.0. */
function live(credit: number): Session {
  const session = open();
  const ask = subscribe(session, 1, "t", credit, "g.0");
  session.answer(ask.ticket, { mode: "resume", position: "g.0", items: [], more: false }, NOW);
  return session;
}

describe("session", () => {
  it("[WS1] opens with hello", () => {
    expect(frames(Session.open(5).effects)).toEqual([{ type: "hello", version: 1, expiresAt: 5 }]);
  });

  it("[WS2] a subscription asks its target first, and is confirmed by the answer", () => {
    const session = open();
    const ask = subscribe(session, 7, "t", 3, "g.4");
    expect(ask).toMatchObject({ id: 7, target: "t", from: "g.4", limit: 3, first: true });
    const effects = session.answer(ask.ticket, { mode: "resume", position: "g.4", items: [delta(5)], more: false }, NOW);
    expect(frames(effects)).toEqual([
      { type: "subscribed", id: 7, position: "g.4", mode: "resume" },
      { type: "data", id: 7, ...delta(5) },
    ]);
    expect(session.targets()).toEqual(new Set(["t"]));
  });

  it("[WS2] a refused ask ends the subscription with the error, and frees its id", () => {
    const session = open();
    const ask = subscribe(session, 1, "secret", 1);
    expect(frames(session.refuse(ask.ticket, new SkerryError("forbidden", "No.")))).toEqual([
      { type: "error", id: 1, code: "forbidden", detail: "No." },
    ]);
    expect(subscribe(session, 1, "t", 1).first).toBe(true);
  });

  it("[WS3] no data frame goes out without credit; the target is asked when credit comes, from the last frame sent", () => {
    const session = live(2);
    expect(frames(session.publish(change(1), NOW))).toHaveLength(1);
    expect(frames(session.publish(change(2), NOW))).toHaveLength(1);
    for (let n = 3; n < 1000; n++) expect(session.publish(change(n), NOW)).toEqual([]);
    const [ask] = asks(session.onFrame(encode({ type: "credit", id: 1, n: 4 }), NOW));
    expect(ask).toMatchObject({ from: "g.2", limit: 4, first: false });
    const conflated = { position: "g.999", kind: "delta" as const, payload: "3 to 999" };
    expect(frames(session.answer(ask!.ticket, { mode: "resume", position: "g.2", items: [conflated], more: false }, NOW))).toEqual([
      { type: "data", id: 1, ...conflated },
    ]);
    expect(frames(session.publish(change(1000), NOW))).toEqual([{ type: "data", id: 1, ...delta(1000) }]);
  });

  it("[WS3] a target that returns more than its limit loses nothing: the rest is asked for later", () => {
    const session = open();
    const ask = subscribe(session, 1, "t", 2, "g.0");
    const effects = session.answer(ask.ticket, { mode: "resume", position: "g.0", items: [1, 2, 3].map(delta), more: false }, NOW);
    expect(frames(effects).slice(1)).toHaveLength(2);
    expect(asks(session.onFrame(encode({ type: "credit", id: 1, n: 1 }), NOW))[0]).toMatchObject({ from: "g.2" });
  });

  it("[WS4] a change during an ask is fetched by a second ask", () => {
    const session = open();
    const ask = subscribe(session, 1, "t", 5, "g.0");
    expect(session.publish(change(1), NOW)).toEqual([]);
    const effects = session.answer(ask.ticket, { mode: "resume", position: "g.0", items: [], more: false }, NOW);
    expect(asks(effects)[0]).toMatchObject({ from: "g.0", limit: 5 });
  });

  it("[WS4] a change that does not follow the last frame is not sent but asked for", () => {
    const session = live(5);
    const effects = session.publish(change(3), NOW);
    expect(frames(effects)).toEqual([]);
    expect(asks(effects)[0]).toMatchObject({ from: "g.0" });
  });

  it("[WS4] an answer to an ask that is no longer out is ignored", () => {
    const session = open();
    const old = subscribe(session, 1, "t", 5);
    session.onFrame(encode({ type: "unsubscribe", id: 1 }), NOW);
    subscribe(session, 1, "t", 5);
    expect(session.answer(old.ticket, { mode: "resume", position: "g.0", items: [delta(1)], more: false }, NOW)).toEqual([]);
    expect(session.refuse(old.ticket, new SkerryError("forbidden", "No."))).toEqual([]);
  });

  it("[WS5] a target that starts over says so before the first part", () => {
    const session = live(5);
    const [ask] = asks(session.publish(change(9), NOW));
    const part = { position: "h.2~", kind: "snapshot" as const, last: true, payload: [] };
    const [first, second] = frames(session.answer(ask!.ticket, { mode: "snapshot", position: "h.2", items: [part], more: false }, NOW));
    expect(first).toEqual({ type: "subscribed", id: 1, position: "h.2", mode: "snapshot" });
    expect(second).toEqual({ type: "data", id: 1, ...part });
  });

  it("[WS5] a target that breaks the contract ends the subscription instead of looping", () => {
    for (const reply of [
      { mode: "resume" as const, position: "g.0", items: [], more: true },
      { mode: "snapshot" as const, position: "g.0", items: [], more: false },
      { mode: "resume" as const, position: "not a position", items: [], more: false },
    ]) {
      const session = open();
      const effects = session.answer(subscribe(session, 1, "t", 5).ticket, reply, NOW);
      expect(frames(effects).at(-1)).toMatchObject({ type: "error", id: 1, code: "internal" });
      expect(asks(effects)).toEqual([]);
    }
  });

  it("[WS5] an item too large for a frame ends the subscription with too_large", () => {
    const session = open();
    const item = { position: "g.1", kind: "delta" as const, payload: "x".repeat(2 ** 20) };
    const effects = session.answer(
      subscribe(session, 1, "t", 5, "g.0").ticket,
      { mode: "resume", position: "g.0", items: [item], more: false },
      NOW,
    );
    expect(frames(effects).at(-1)).toMatchObject({ type: "error", id: 1, code: "too_large" });
    expect(() => publication("t", "g.0", "g.1", "x".repeat(2 ** 20))).toThrow(/parts/);
  });

  it("[WS6] a frame that breaks the protocol closes the socket, and nothing follows", () => {
    for (const text of [
      "{",
      encode({ type: "subscribe", id: 1, target: "t", credit: 1 }),
      encode({ type: "credit", id: 1, n: MAX_CREDIT }),
    ]) {
      const session = live(1);
      const effects = session.onFrame(text, NOW);
      expect(effects.at(-1)).toEqual({ kind: "close", code: 4400, reason: "bad_frame" });
      expect(frames(effects)[0]).toMatchObject({ type: "error", code: "bad_frame" });
      expect(session.closed).toBe(true);
      expect(session.publish(change(1), NOW)).toEqual([]);
      expect(session.onFrame(encode({ type: "ping" }), NOW)).toEqual([]);
      expect(Session.restore(session.save()).closed).toBe(true);
    }
  });

  it("[WS7] frames for a subscription that has just ended are ignored", () => {
    const session = live(1);
    expect(frames(session.end("t", "deleted"))).toEqual([{ type: "end", id: 1, reason: "deleted" }]);
    expect(session.onFrame(encode({ type: "credit", id: 1, n: 1 }), NOW)).toEqual([]);
    expect(session.onFrame(encode({ type: "ack", id: 1, position: "g.0" }), NOW)).toEqual([]);
    expect(session.onFrame(encode({ type: "unsubscribe", id: 1 }), NOW)).toEqual([]);
    expect(session.closed).toBe(false);
  });

  it("[WS7] an acknowledgement is handed to the shell", () => {
    expect(live(1).onFrame(encode({ type: "ack", id: 1, position: "g.0" }), NOW)).toEqual([
      { kind: "acked", id: 1, target: "t", position: "g.0" },
    ]);
  });

  it("[WS8] nothing is sent once the token has ended, whatever happens first", () => {
    const inputs: ((session: Session, ticket: number) => Effect[])[] = [
      (session) => session.onFrame(encode({ type: "ping" }), NOW),
      (session) => session.publish(change(1), NOW),
      (session, ticket) => session.answer(ticket, { mode: "resume", position: "g.0", items: [delta(1)], more: false }, NOW),
      (session) => session.wake(() => null, NOW),
      (session) => session.expire(NOW),
    ];
    for (const input of inputs) {
      const session = open(NOW);
      const [ask] = asks(session.onFrame(encode({ type: "subscribe", id: 1, target: "t", credit: 1 }), NOW - 1));
      const effects = input(session, ask!.ticket);
      expect(frames(effects)).toEqual([expect.objectContaining({ type: "error", code: "token_expired" })]);
      expect(effects.at(-1)).toEqual({ kind: "close", code: 4408, reason: "token_expired" });
    }
  });

  it("[WS9] a refreshed token extends the session in-band; a refused one leaves the old in force", () => {
    const session = open(NOW);
    expect(session.onFrame(encode({ type: "token", token: "new" }), NOW - 1)).toEqual([{ kind: "verify", token: "new" }]);
    expect(frames(session.tokenRefused(new SkerryError("token_invalid", "Bad signature.")))).toMatchObject([{ code: "token_invalid" }]);
    expect(session.expiresAt).toBe(NOW);
    expect(frames(session.tokenAccepted(NOW + 10))).toEqual([{ type: "token_ok", expiresAt: NOW + 10 }]);
    expect(frames(session.onFrame(encode({ type: "ping" }), NOW))).toEqual([{ type: "pong" }]);
    expect(Session.restore(session.save()).expiresAt).toBe(NOW + 10);
  });

  it("[WS9] a right taken away ends the subscriptions it covered", () => {
    const session = live(1);
    subscribe(session, 2, "u", 1);
    expect(frames(session.fail("t", new SkerryError("forbidden", "No longer.")))).toMatchObject([{ type: "error", id: 1 }]);
    expect(session.targets()).toEqual(new Set(["u"]));
  });

  it("[WS10] the state never passes its limit, however long targets and positions are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", '"', "é", "日"), minLength: 1, maxLength: 85 }), { minLength: 1, maxLength: 20 }),
        (targets) => {
          const session = open(Number.MAX_SAFE_INTEGER);
          targets.forEach((target, i) => {
            const effects = session.onFrame(encode({ type: "subscribe", id: 2 ** 31 - 1 - i, target, credit: MAX_CREDIT }), NOW);
            const [ask] = asks(effects);
            if (ask === undefined) expect(frames(effects)).toMatchObject([{ type: "error", code: "too_large" }]);
            else session.answer(ask.ticket, { mode: "resume", position: "p".repeat(MAX_POSITION_LENGTH), items: [], more: false }, NOW);
          });
          expect(new TextEncoder().encode(session.save()).length).toBeLessThanOrEqual(MAX_STATE_BYTES);
          expect(session.targets().size).toBeLessThanOrEqual(MAX_SUBSCRIPTIONS);
          expect(session.targets().size).toBeGreaterThan(0);
        },
      ),
    );
  });

  it("[WS10] a socket takes 12 subscriptions of ordinary names", () => {
    const session = open();
    const opened = Array.from({ length: 12 }, (_, i) => subscribe(session, i + 1, `delays-by-origin-${i}`, 1));
    expect(opened.every((ask) => ask !== undefined)).toBe(true);
  });

  it("[WS11] a restored session goes on where it was; damaged state is corrupt, not empty", () => {
    const session = Session.restore(live(2).save());
    expect(frames(session.publish(change(1), NOW))).toHaveLength(1);
    for (const json of ["", "{}", "[2,null,0,0,[]]", "[1,null,0,0]"]) expect(() => Session.restore(json)).toThrow(/cannot be read/);
  });

  it("[WS11] wake asks again for lost asks and missed changes, and leaves alone what is up to date", () => {
    const session = open();
    subscribe(session, 1, "lost", 3);
    const current = subscribe(session, 2, "current", 3, "g.5");
    session.answer(current.ticket, { mode: "resume", position: "g.5", items: [], more: false }, NOW);
    const trailing = subscribe(session, 3, "trailing", 3, "g.5");
    session.answer(trailing.ticket, { mode: "resume", position: "g.5", items: [], more: false }, NOW);
    const effects = Session.restore(session.save()).wake((target) => (target === "current" ? "g.5" : "g.6"), NOW);
    expect(asks(effects).map(({ id, from }) => [id, from])).toEqual([
      [1, null],
      [3, "g.5"],
    ]);
  });

  it("[WS12] random bytes and JSON never throw, and never leave the machine unable to save", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc.constantFrom('{"type":"ping"}', encode({ type: "credit", id: 1, n: 9 })),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 10 }), (texts) => {
        let session = live(1);
        for (const each of texts) {
          session.onFrame(each, NOW);
          session = Session.restore(session.save());
        }
      }),
      { numRuns: 500 },
    );
  });
});
