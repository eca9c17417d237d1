import type { ByteString } from "../kv/types.ts";
import { Base64Error, fromBase64 } from "./base64.ts";
import { type Json, JsonError, kindOf, parseWhole, RawNumber, RawString } from "./json.ts";

/**
 * The JSON mapping of protobuf as etcd's gateway has it (golang/protobuf's jsonpb): each field under its name in the .proto or
 * in lowerCamelCase (the latter wins), `null` for a default, integers as numbers or strings, enums by name or number, bytes in
 * base64, unknown fields ignored. The errors are its own words.
 */

/** A field that does not read. */
export class FieldError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FieldError";
  }
}

export type Message = { readonly [name: string]: Json };

const NOTHING: Message = Object.freeze(Object.create(null));
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A message; null is one without fields. */
export function message(value: Json): Message {
  if (value === null) return NOTHING;
  if (kindOf(value) !== "object") throw mismatch(value, "map[string]json.RawMessage");
  return value as Message;
}

/** A field by its name in the .proto; undefined where it is absent. */
export function field(of: Message, name: string, camel = name): Json | undefined {
  if (camel !== name && Object.hasOwn(of, camel)) return of[camel];
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

/** A field that holds a message; undefined where it is absent or null. */
export function nested(of: Message, name: string, camel = name): Message | undefined {
  const value = field(of, name, camel);
  return value === undefined || value === null ? undefined : message(value);
}

/** A field that repeats. */
export function list<T>(of: Message, name: string, each: (item: Json) => T): T[] {
  const value = field(of, name);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw mismatch(value, "[]json.RawMessage");
  return value.map(each);
}

export function bool(of: Message, name: string, camel = name): boolean {
  const value = field(of, name, camel);
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw mismatch(value, "bool");
  return value;
}

/** A signed 64-bit integer as a number: beyond 2^53 it is near enough, for no revision or count of ours is that great. */
export function int64(of: Message, name: string, camel = name): number {
  const value = field(of, name, camel);
  if (typeof value === "number") return value + 0;
  return value === undefined ? 0 : Number(integer(value, "int64", INT64_MIN, INT64_MAX));
}

/** A signed 64-bit integer, exactly: ids. */
export function bigint64(of: Message, name: string, camel = name): bigint {
  const value = field(of, name, camel);
  return value === undefined ? 0n : integer(value, "int64", INT64_MIN, INT64_MAX);
}

/**
 * An enum, by name or number, as its number.
 * @param type its Go name, for the error.
 * @param names the names, in the order of their numbers.
 */
export function enumOf(value: Json | undefined, type: string, names: readonly string[]): number {
  if (value === undefined) return 0;
  if (typeof value === "string" || value instanceof RawString) {
    const name = rawOf(value);
    const known = names.indexOf(name);
    if (known < 0) throw new FieldError(`unknown value ${quoted(name)} for enum ${type}`);
    return known;
  }
  return Number(integer(value, type, -(2n ** 31n), 2n ** 31n - 1n));
}

export function bytes(of: Message, name: string, camel = name): ByteString {
  const value = field(of, name, camel);
  if (typeof value === "string") return fromBase64(value);
  if (value === undefined || value === null) return "";
  if (value instanceof RawString) return fromBase64(value.text);
  // Go reads an array of numbers as bytes too.
  if (!Array.isArray(value)) throw mismatch(value, "[]uint8");
  return String.fromCharCode(...value.map((item) => Number(integer(item, "uint8", 0n, 255n, true))));
}

export function text(of: Message, name: string, camel = name): string {
  const value = field(of, name, camel);
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  if (value instanceof RawString) return value.text;
  throw mismatch(value, "string");
}

/** What is wrong with the JSON itself, and with a field, is one thing to the caller. */
export function isUnreadable(thrown: unknown): thrown is FieldError | JsonError | Base64Error {
  return thrown instanceof FieldError || thrown instanceof JsonError || thrown instanceof Base64Error;
}

function integer(value: Json, type: string, min: bigint, max: bigint, strict = false): bigint {
  if (value === null) return 0n;
  // A quoted number is what stands between the quotes, read as JSON.
  if (!strict && (typeof value === "string" || value instanceof RawString)) return integer(parseWhole(rawOf(value)), type, min, max, true);
  if (typeof value !== "number" && !(value instanceof RawNumber)) throw mismatch(value, type);
  const digits = typeof value === "number" ? String(value) : value.text;
  const exact = /^-?\d+$/.test(digits) ? BigInt(digits) : null;
  if (exact === null || exact < min || exact > max)
    throw new FieldError(`json: cannot unmarshal number ${digits} into Go value of type ${type}`);
  return exact;
}

function mismatch(value: Json, type: string): FieldError {
  return new FieldError(`json: cannot unmarshal ${kindOf(value)} into Go value of type ${type}`);
}

function rawOf(value: string | RawString): string {
  return typeof value === "string" ? value : value.raw;
}

/** Go's `%q` of what cannot have a quote or control character unescaped: the inside of a JSON string. */
function quoted(raw: string): string {
  return `"${raw.replace(/[\\]/g, "\\\\").replace(/"/g, '\\"')}"`;
}
