import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, errorOf, problemOf, SkerryError } from "./errors.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

describe("errors", () => {
  it.each(codes)("[WE1] %s has a legal HTTP status, close code and title", (code) => {
    const row = ERRORS[code];
    expect(row.status).toBeGreaterThanOrEqual(400);
    expect(row.status).toBeLessThan(600);
    // RFC 6455: 1009, 1011, 1012 and 1013 may be sent by an application, and so may 4000 to 4999.
    expect([1009, 1011, 1012, 1013].includes(row.close) || (row.close >= 4000 && row.close < 5000)).toBe(true);
    expect(row.title).not.toMatch(/\.$/);
    // A reason has at most 123 bytes on the wire, and the reason is the code.
    expect(code.length).toBeLessThanOrEqual(123);
  });

  it.each(codes)("[WE1] %s is retryable exactly if its close code says try again", (code) => {
    expect(ERRORS[code].retryable).toBe([1011, 1012, 1013].includes(ERRORS[code].close));
  });

  it("[WE2] errorOf reads an error that lost its class on the way", () => {
    const error = new SkerryError("rate_limited", "Slow down.", { retryAfter: 2, extra: { limit: 3 }, headers: { "x-a": "1" } });
    const remote = Object.assign(new Error(error.message), { ...error, name: "SkerryError", remote: true });
    const read = errorOf(remote);
    expect(read).toBeInstanceOf(SkerryError);
    expect({ ...read }).toEqual({ ...error });
    expect(read.message).toBe("Slow down.");
    expect(read.cause).toBe(remote);
    expect(errorOf(error)).toBe(error);
  });

  it("[WE2] the platform's own flags become overloaded and unavailable", () => {
    expect(errorOf(Object.assign(new Error("x"), { overloaded: true, retryable: true })).code).toBe("overloaded");
    expect(errorOf(Object.assign(new Error("x"), { retryable: true })).code).toBe("unavailable");
  });

  it("[WE2] anything else is internal, and its message does not leak", () => {
    const thrown = fc.oneof(
      fc.anything(),
      fc.constantFrom({ code: "no_such_code", message: "m" }, { code: 7 }, { code: "constructor" }, new Error("secret"), null),
    );
    fc.assert(
      fc.property(thrown, (value) => {
        const error = errorOf(value);
        expect(Object.hasOwn(ERRORS, error.code)).toBe(true);
        expect(error.message).not.toContain("secret");
        expect(problemOf(error).status).toBe(ERRORS[error.code].status);
      }),
    );
  });

  it("[WE3] a problem document keeps its own members whatever the extra ones are called", () => {
    const error = new SkerryError("conflict", "It differs.", { extra: { status: 200, code: "ok", expected: 1 } });
    expect(problemOf(error, "req-1")).toEqual({
      type: "/docs/errors#conflict",
      title: ERRORS.conflict.title,
      status: 409,
      code: "conflict",
      detail: "It differs.",
      retryable: false,
      instance: "req-1",
      expected: 1,
    });
  });
});
