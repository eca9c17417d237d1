import { SkerryError } from "../../wire/errors.ts";
import { got } from "../../wire/fields.ts";

/** How what a client sent is read: what is not as it should be is `bad_request`, by the name of the member. */
export type Members = Record<string, unknown>;

export function wrong(name: string, wanted: string, value: unknown): SkerryError {
  return new SkerryError("bad_request", `"${name}" must be ${wanted}${got(value)}.`);
}

export function members(value: unknown, name: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(name, "an object", value);
  return value as Members;
}

/** A whole number from 0 on; `otherwise` where it is left out. */
export function natural(value: unknown, name: string, otherwise = 0): number {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(name, "a whole number, 0 or more", value);
  return value as number;
}

export function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw wrong(name, "true or false", value);
  return value;
}

export function choice<T extends string>(value: unknown, name: string, values: readonly T[], otherwise: T): T {
  if (value === undefined) return otherwise;
  if (!values.includes(value as T)) throw wrong(name, `one of ${values.join(", ")}`, value);
  return value as T;
}

export function list(value: unknown, name: string): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(name, "an array", value);
  return value;
}

const INT64 = /^-?(?:0|[1-9]\d{0,18})$/;
const MAX_INT64 = 2n ** 63n - 1n;

/** A 64-bit integer by its digits, as numbers of JSON do not hold it; 0 where it is left out. */
export function int64(value: unknown, name: string): bigint {
  if (value === undefined) return 0n;
  const text = typeof value === "string" && INT64.test(value) ? value : Number.isSafeInteger(value) ? String(value) : null;
  const number = text === null ? null : BigInt(text);
  if (number === null || number > MAX_INT64 || number < -MAX_INT64 - 1n) throw wrong(name, "a 64-bit integer in digits", value);
  return number;
}

/** The one member of an object that says what it is. */
export function only(value: unknown, name: string, of: readonly string[]): [string, Members] {
  const object = members(value, name);
  const found = of.filter((each) => Object.hasOwn(object, each));
  const [kind] = found;
  if (kind === undefined || found.length > 1) throw wrong(name, `an object with one of ${of.join(", ")}`, value);
  return [kind, members(object[kind], kind)];
}
