import type { MintedToken } from "@skerry/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SkerryError } from "../../../core/wire/errors.ts";
import { type Lifetime, LifetimeKeeper } from "./lifetime.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let keeper: LifetimeKeeper;
let told: Lifetime[];
let ended: number;
let refused: SkerryError[];
let asked: number[];

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  [told, ended, refused, asked] = [[], 0, [], []];
});

afterEach(() => {
  keeper.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Keeps a token that ends at `expiresAt`; `answer` is what the server says to each refresh. */
function keep(expiresAt: number, answer: () => Partial<MintedToken> | SkerryError): void {
  const refresh = async (): Promise<MintedToken> => {
    asked.push(Date.now());
    const answered = answer();
    if (answered instanceof SkerryError) throw answered;
    return { token: "t", id: "i", expiresAt: 0, refreshableUntil: DAY, ...answered };
  };
  keeper = new LifetimeKeeper(expiresAt, refresh, {
    changed: (lifetime) => told.push(lifetime),
    ended: () => ended++,
    refused: (error) => refused.push(error),
  });
}

describe("a token that can be refreshed", () => {
  it("is, at seven tenths of its time, again and again, and nothing is said of an end", async () => {
    keep(HOUR, () => ({ expiresAt: Date.now() + HOUR }));
    await vi.advanceTimersByTimeAsync(3 * HOUR);
    expect(asked).toEqual([42, 84, 126, 168].map((minutes) => minutes * MINUTE));
    expect(told.map(({ ending }) => ending)).toEqual([null, null, null, null]);
    expect(told.at(-1)).toEqual({ expiresAt: 228 * MINUTE, ending: null });
    expect(ended).toBe(0);
  });

  it("is at once when a tab is seen again that slept for long", async () => {
    keep(HOUR, () => ({ expiresAt: Date.now() + HOUR }));
    vi.setSystemTime(55 * MINUTE);
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual([55 * MINUTE]);
  });

  it("may be as long as 30 days: longer than a timer can wait", async () => {
    keep(30 * DAY, () => ({ expiresAt: 30 * DAY, refreshableUntil: 30 * DAY }));
    await vi.advanceTimersByTimeAsync(20.9 * DAY);
    expect([asked, ended]).toEqual([[], 0]);
    await vi.advanceTimersByTimeAsync(9 * DAY);
    expect([asked, ended]).toEqual([[21 * DAY], 0]);
    await vi.advanceTimersByTimeAsync(DAY);
    expect(ended).toBe(1);
  });
});

describe("a token that cannot be refreshed", () => {
  it.each([
    [
      "was refused",
      () => new SkerryError("token_expired", "The token has reached its longest lifetime."),
      "the token has reached its longest lifetime.",
    ],
    [
      "got its last successor",
      () => ({ expiresAt: HOUR, refreshableUntil: HOUR }),
      "the token has reached its longest lifetime and cannot be refreshed.",
    ],
  ] as const)("that %s: is asked for no more; the end is said ten minutes before", async (_, answer, ending) => {
    keep(HOUR, answer);
    await vi.advanceTimersByTimeAsync(49 * MINUTE);
    expect(told.map((each) => each.ending)).toEqual([null]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(told.at(-1)).toEqual({ expiresAt: HOUR, ending });
    expect(ended).toBe(0);
    await vi.advanceTimersByTimeAsync(10 * MINUTE + 1000);
    expect([asked.length, ended]).toEqual([1, 1]);
  });

  it("of a minute: the end is said at once", async () => {
    keep(MINUTE, () => new SkerryError("token_expired", "Over."));
    await vi.advanceTimersByTimeAsync(42_001);
    expect(told.at(-1)).toEqual({ expiresAt: MINUTE, ending: "over." });
  });
});

describe("a server that does not answer", () => {
  it("is asked again every five seconds; the end is said while that is so, and no more after", async () => {
    let away = true;
    keep(HOUR, () => (away ? new SkerryError("unavailable", "The server does not answer.") : { expiresAt: Date.now() + HOUR }));
    await vi.advanceTimersByTimeAsync(49 * MINUTE);
    expect(asked.slice(0, 3)).toEqual([42 * MINUTE, 42 * MINUTE + 5000, 42 * MINUTE + 10_000]);
    expect(told.every(({ ending }) => ending === null)).toBe(true);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(told.at(-1)!.ending).toMatch(/not given a successor.*Trying again/);
    away = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect(told.at(-1)!.ending).toBeNull();
    expect(told.at(-1)!.expiresAt).toBeGreaterThan(HOUR);
  });

  it("is given time to, before the end is said", async () => {
    keep(MINUTE, () => ({ expiresAt: Date.now() + MINUTE }));
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(told.every(({ ending }) => ending === null)).toBe(true);
  });
});

it("a token that is no longer accepted ends the session, whoever finds out", async () => {
  keep(HOUR, () => new SkerryError("token_revoked", "The token was revoked."));
  await vi.advanceTimersByTimeAsync(43 * MINUTE);
  expect(refused.map(({ code }) => code)).toEqual(["token_revoked"]);
});

it("a clock that is ahead does not ask without end", async () => {
  keep(-HOUR, () => ({ expiresAt: Date.now() - HOUR }));
  await vi.advanceTimersByTimeAsync(10 * MINUTE);
  expect(asked.length).toBeLessThanOrEqual(10);
});

it("asks no more once it was stopped", async () => {
  keep(HOUR, () => ({ expiresAt: Date.now() + HOUR }));
  keeper.stop();
  await vi.advanceTimersByTimeAsync(2 * HOUR);
  expect([asked, told, ended]).toEqual([[], [], 0]);
});
