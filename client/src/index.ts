export { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
export type { Grant, Right } from "../../core/wire/grant.ts";
export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { Runtime } from "./runtime.ts";
export type { TableEvent, TablePage, TableQuery, TableRow, TableSubscription, Tables } from "./tables.ts";
export type { MintedToken, TokenRequest, Tokens } from "./tokens.ts";
export type { Producer, Topic, TopicConfig, Topics } from "./topics.ts";
