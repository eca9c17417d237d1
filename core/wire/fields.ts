import { SkerryError } from "./errors.ts";

/** The members of a frame that is being read. What is not as it should be is thrown as `bad_frame`, by name. */
export type Fields = Record<string, unknown>;

export function parseObject(text: string, limit: number): Fields {
  if (typeof text !== "string") throw bad("A frame is a text message, not a binary one.");
  if (longer(text, limit)) throw bad(`A frame may have ${limit} bytes.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("A frame is one JSON object; this is not JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("A frame is one JSON object.");
  return value as Fields;
}

export function integer(frame: Fields, name: string, min: number, max: number): number {
  const value = frame[name];
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw bad(`"${name}" must be an integer from ${min} to ${max}${got(value)}.`);
  }
  return value as number;
}

export function list(frame: Fields, name: string): unknown[] {
  const value = frame[name];
  if (!Array.isArray(value)) throw bad(`"${name}" must be an array${got(value)}.`);
  return value;
}

export function string(frame: Fields, name: string, maxLength: number): string {
  const value = frame[name];
  if (typeof value !== "string" || value.length === 0 || value.length > maxLength) {
    throw bad(`"${name}" must be a string of 1 to ${maxLength} characters.`);
  }
  return value;
}

export function oneOf<T extends string>(frame: Fields, name: string, values: readonly T[]): T {
  const value = frame[name];
  if (!values.includes(value as T)) throw bad(`"${name}" must be one of ${values.join(", ")}${got(value)}.`);
  return value as T;
}

/** Echoes a bad value, cut short: the sentence travels in an error frame and in logs. */
export function got(value: unknown): string {
  if (value === undefined) return "; it is missing";
  if (typeof value === "string") return `; it is "${value.slice(0, 40).toWellFormed()}"`;
  if (typeof value === "number" || typeof value === "boolean" || value === null) return `; it is ${value}`;
  return `; it is ${Array.isArray(value) ? "an array" : "an object"}`;
}

export function bad(detail: string): SkerryError {
  return new SkerryError("bad_frame", detail);
}

/** Whether `text` has more than `limit` UTF-8 bytes, without encoding it where its length already decides. */
export function longer(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && new TextEncoder().encode(text).length > limit;
}
