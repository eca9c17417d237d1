import { expect, it } from "vitest";
import { unlimited } from "../../../core/streams/windows.ts";
import { spanOf } from "./span.ts";

const at = (text: string) => Date.parse(`${text}Z`);

it("says the day once for a window within one, and twice for longer ones", () => {
  expect(spanOf({ start: at("2001-01-01T14:00"), end: at("2001-01-01T15:00") })).toBe("2001-01-01 14:00 – 15:00");
  expect(spanOf({ start: at("2001-01-01T23:00"), end: at("2001-01-02T00:00") })).toBe("2001-01-01 23:00 – 00:00");
  expect(spanOf({ start: at("2001-01-01T00:00"), end: at("2001-01-02T00:00") })).toBe("2001-01-01 00:00 – 2001-01-02 00:00");
});

it("has words for the window that never ends, whose end is no date", () => {
  expect(spanOf({ start: 0, end: unlimited().size })).toBe("all time");
});
