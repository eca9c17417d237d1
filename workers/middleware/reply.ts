import type { Context, TypedResponse } from "hono";
import type { JSONParsed } from "hono/utils/types";
import type { Answer } from "../../core/wire/answer.ts";
import type { AppEnv } from "../env.ts";
import { note } from "./context.ts";
import { whole } from "./dress.ts";

/**
 * Maps what an object answered to a response: `Skerry-Context` with the caller's positions and this one,
 * `Skerry-Level`, and the rows it cost counted. Without `map` the value is the JSON body of a 200.
 * A route that calls several objects calls {@link note} for all but the last.
 */
export function reply<T>(c: Context<AppEnv>, answer: Answer<T>): Response & TypedResponse<JSONParsed<T>, 200, "json">;
export function reply<T, R extends Response>(c: Context<AppEnv>, answer: Answer<T>, map: (value: T) => R): R;
export function reply<T>(c: Context<AppEnv>, answer: Answer<T>, map?: (value: T) => Response): Response {
  note(c, answer);
  return map ? map(answer.value) : whole(c, JSON.stringify(answer.value));
}
