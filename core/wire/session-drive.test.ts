import { expect, it } from "vitest";
import { SkerryError } from "./errors.ts";
import { encode } from "./frames.ts";
import { publication, Session } from "./session.ts";
import { perform, type SessionShell } from "./session-drive.ts";

/** A shell that writes down what it was told, and reads numbers up to `head`, two at a time. */
function shell(head: number) {
  const log: string[] = [];
  const it: SessionShell = {
    save: (state) => log.push(`save ${JSON.parse(state)[4].length}`),
    send: (text) => log.push(text.slice(9, 24)),
    close: (code, reason) => log.push(`close ${code} ${reason}`),
    ask: (ask) => {
      if (ask.target === "later") return null;
      if (ask.target !== "numbers") throw new SkerryError("table_not_found", `There is no table "${ask.target}".`);
      const after = ask.from === null ? 0 : Number(ask.from);
      const items = [after + 1, after + 2].filter((n) => n <= head).slice(0, ask.limit);
      return {
        mode: "resume",
        position: String(after),
        items: items.map((n) => ({ position: String(n), kind: "delta", payload: n })),
        more: after + items.length < head,
      };
    },
    verify: (token) => log.push(`verify ${token}`),
    acked: (id, target, position) => log.push(`acked ${id} ${target} ${position}`),
  };
  return { log, it };
}

it("[WS14] stores the state before it sends, and asks on until the head or the end of the credit", () => {
  const { session, effects } = Session.open(null);
  const { log, it: to } = shell(5);
  perform(session, effects, to, 0);
  perform(session, session.onFrame(encode({ type: "subscribe", id: 1, target: "numbers", credit: 9 }), 0), to, 0);
  expect(log).toEqual([
    "save 0",
    'hello","version',
    "save 1",
    "save 1",
    'subscribed","id',
    'data","id":1,"p',
    'data","id":1,"p',
    "save 1",
    'data","id":1,"p',
    'data","id":1,"p',
    "save 1",
    'data","id":1,"p',
  ]);
  log.length = 0;
  perform(session, session.publish(publication("numbers", "5", "6", 6), 0), to, 0);
  expect(log).toEqual(["save 1", 'data","id":1,"p']);
});

it("[WS14] refuses where the shell throws, waits where it returns null, and lets any other error through", () => {
  const { session } = Session.open(null);
  const { log, it: to } = shell(0);
  perform(session, session.onFrame(encode({ type: "subscribe", id: 1, target: "absent", credit: 1 }), 0), to, 0);
  expect(log).toEqual(["save 1", "save 0", 'error","id":1,"']);
  log.length = 0;
  perform(session, session.onFrame(encode({ type: "subscribe", id: 2, target: "later", credit: 1 }), 0), to, 0);
  expect(log).toEqual(["save 1"]);
  const broken: SessionShell = {
    ...to,
    ask: () => {
      throw new TypeError("a bug");
    },
  };
  const subscribe = session.onFrame(encode({ type: "subscribe", id: 3, target: "numbers", credit: 1 }), 0);
  expect(() => perform(session, subscribe, broken, 0)).toThrow("a bug");
});

it("[WS14] hands on tokens, acknowledgements and closing", () => {
  const { session } = Session.open(null);
  const { log, it: to } = shell(0);
  perform(session, session.onFrame(encode({ type: "token", token: "t2" }), 0), to, 0);
  perform(session, session.onFrame(encode({ type: "subscribe", id: 1, target: "numbers", credit: 1 }), 0), to, 0);
  perform(session, session.onFrame(encode({ type: "ack", id: 1, position: "0" }), 0), to, 0);
  perform(session, session.onFrame("?", 0), to, 0);
  expect(log.filter((line) => !line.startsWith("save"))).toEqual([
    "verify t2",
    'subscribed","id',
    "acked 1 numbers 0",
    'error","code":"',
    "close 4400 bad_frame",
  ]);
});
