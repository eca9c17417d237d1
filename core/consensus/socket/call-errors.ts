import { ERRORS, SkerryError } from "../../wire/errors.ts";
import type { CallError } from "../../wire/frames.ts";

/** An error as the result of a call carries it. */
export function callError({ code, message, retryAfter, extra }: SkerryError): CallError {
  return { code, detail: message, ...(retryAfter !== undefined && { retryAfter }), ...(extra !== undefined && { extra }) };
}

/** What {@link callError} wrote; a code that this version does not know was read as `internal`. */
export function errorOfCall({ code, detail, retryAfter, extra }: CallError): SkerryError {
  const more = { ...(retryAfter !== undefined && { retryAfter }), ...(extra !== undefined && { extra }) };
  return new SkerryError(code, detail === "" ? ERRORS[code].title : detail, more);
}
