import { expect, it } from "vitest";
import { answer } from "./answer.ts";

it("[WA1] an answer names what it shows, where it stood and at what level; rows only where some were written", () => {
  expect(answer(1, { object: "o", at: 2 }, "durable")).toEqual({ value: 1, position: { object: "o", at: 2 }, level: "durable" });
  expect(answer(null, null, "session", 3)).toEqual({ value: null, position: null, level: "session", rows: 3 });
});
