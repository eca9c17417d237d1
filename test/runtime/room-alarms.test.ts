import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { Alarms } from "../../durable-objects/shared/alarms.ts";

const HOUR = 3_600_000;
let made = 0;

function object() {
  made++;
  return env.ROOM.get(env.ROOM.idFromName(`alarms-${made}`));
}

describe("named deadlines over one alarm", () => {
  it("arms the platform's alarm for the earliest, whatever the order", async () => {
    const stub = object();
    const base = Date.now() + HOUR;
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const alarms = new Alarms(storage);
      expect(alarms.next()).toBeNull();
      alarms.schedule("late", base + 3_000);
      expect(await storage.getAlarm()).toBe(base + 3_000);
      alarms.schedule("early", base + 1_000);
      expect(await storage.getAlarm()).toBe(base + 1_000);
      alarms.scheduleBy("early", base + 2_000);
      expect(alarms.at("early")).toBe(base + 1_000);
      alarms.scheduleBy("early", base);
      expect(alarms.at("early")).toBe(base);
      expect(await storage.getAlarm()).toBe(base);
    });
  });

  it("survives eviction, and a later deadline does not move the alarm that is set", async () => {
    const stub = object();
    const base = Date.now() + HOUR;
    await runInDurableObject(stub, (_instance, { storage }) => new Alarms(storage).schedule("first", base));
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const alarms = new Alarms(storage);
      alarms.schedule("second", base + 500);
      expect(await storage.getAlarm()).toBe(base);
      alarms.schedule("third", base - 500);
      expect(await storage.getAlarm()).toBe(base - 500);
      expect(alarms.due(base + 499)).toEqual(["third", "first"]);
    });
  });

  it("writes no row for a deadline that stays, and none where nothing was ever scheduled", async () => {
    await runInDurableObject(object(), (_instance, { storage }) => {
      const alarms = new Alarms(storage);
      alarms.cancel("never");
      expect(alarms.due(Infinity)).toEqual([]);
      expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = '_alarms'").toArray()).toEqual([]);
      alarms.schedule("compact", Date.now() + HOUR);
      const at = alarms.at("compact") as number;
      const before = storage.sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n;
      alarms.schedule("compact", at);
      expect(storage.sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n).toBe(before);
    });
  });

  it("runs what is due once, keeps what failed, and arms the next", async () => {
    await runInDurableObject(object(), async (_instance, { storage }) => {
      const now = Date.now() + HOUR;
      const alarms = new Alarms(storage);
      alarms.schedule("works", now - 2);
      alarms.schedule("fails", now - 1);
      alarms.schedule("again", now);
      alarms.schedule("later", now + HOUR);
      const ran: string[] = [];
      const failed: string[] = [];
      const handle = (name: string): void => {
        ran.push(name);
        if (name === "fails") throw new Error("not yet");
        if (name === "again") alarms.schedule("again", now + 60_000);
      };
      await alarms.fire(now, handle, (name) => failed.push(name));
      expect(ran).toEqual(["works", "fails", "again"]);
      expect(failed).toEqual(["fails"]);
      expect([alarms.at("works"), alarms.at("fails"), alarms.at("again")]).toEqual([null, now + 2_000, now + 60_000]);
      expect(await storage.getAlarm()).toBe(now + 2_000);
      await alarms.fire(now + 2_000, handle);
      expect(alarms.at("fails")).toBe(now + 2_000 + 4_000); // twice as long after the second failure
      await alarms.fire(now + 6_000, () => {});
      expect(alarms.at("fails")).toBeNull();
      expect(await storage.getAlarm()).toBe(now + 60_000);
    });
  });

  it("forgets with deleteAll, which takes the alarm along", async () => {
    const stub = object();
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const alarms = new Alarms(storage);
      alarms.schedule("compact", Date.now() + HOUR);
      await storage.deleteAll();
      alarms.forget();
      expect(alarms.next()).toBeNull();
      expect(await storage.getAlarm()).toBeNull();
    });
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });
});
