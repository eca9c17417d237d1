import { SkerryError } from "../wire/errors.ts";

/** Stored bytes are not what was written. The journal reports it and leaves them as they are. */
export function corrupt(detail: string, extra: Record<string, unknown> = {}): SkerryError {
  return new SkerryError("corrupt", detail, { extra });
}

/** The stored format is of a later version of the code, as happens while a deployment rolls out. */
export function newerFormat(what: string, stored: number, supported: number): SkerryError {
  return new SkerryError("newer_format", `${what} has format ${stored}; this code reads up to ${supported}. Deploy the newer version.`, {
    extra: { stored, supported },
    retryAfter: 5,
  });
}

/** The caller named a position that this operation cannot take. */
export function badPosition(detail: string, extra: Record<string, unknown> = {}): SkerryError {
  return new SkerryError("bad_offset", detail, { extra });
}

/** The row to be filled is not as this journal left it: another one writes to the same storage. */
export function replaced(first: number, last: number): SkerryError {
  return new SkerryError("internal", `There is no row from ${first} to ${last} to be filled.`);
}
