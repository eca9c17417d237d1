import { type Client, createClient, type MintedToken, type Runtime } from "@skerry/client";
import { ERRORS, type ErrorCode, SkerryError } from "../../../core/wire/errors.ts";
import type { Connection } from "./connections.ts";

/** How long the server may take to answer a small question, in milliseconds. */
const PATIENCE = 15_000;

/**
 * What the client of an admin acts by: all that a token can grant, for minutes at a time, in seconds. A socket carries its
 * credential in its URL, where proxies and logs may keep it: that must not be the key itself.
 */
const ADMIN_TOKEN = { grants: [{ capability: "*", name: "*", rights: ["admin"] }], expiresIn: 600, maxLifetime: 3600, subject: "console" };

/** Calls to the server this page came from, under one credential. Everything thrown is a {@link SkerryError} with a sentence to show. */
export class Api {
  /** For what lives longer than a request: rooms and tables that are followed. It has the same token, and refreshes it in-band. */
  readonly client: Client;
  readonly #onRefused: (error: SkerryError) => void;
  readonly #watchers = new Map<string, (connection: Connection) => void>();
  #credential: string | null;

  /**
   * `onRefused` hears that the credential itself is no longer accepted, whichever call found out. `admin`: the credential is
   * the admin key, which the client then exchanges for short-lived tokens, at its first use and whenever one has ended.
   */
  constructor(credential: string | null, onRefused: (error: SkerryError) => void = () => {}, admin = false) {
    this.#credential = credential;
    this.#onRefused = onRefused;
    this.client = createClient({
      url: location.origin,
      ...(credential !== null && { token: admin ? () => this.#mint() : credential }),
      runtime: { connect: (url, protocols) => this.#connect(url, protocols) },
    });
  }

  async #mint(): Promise<string> {
    return (await this.send<MintedToken>("POST", "/v1/tokens", ADMIN_TOKEN)).token;
  }

  get credential(): string | null {
    return this.#credential;
  }

  /** Swaps the token for its successor, here and in the client; its open sockets are given it before theirs ends. */
  async refresh(): Promise<MintedToken> {
    const minted = await this.client.tokens.refresh();
    this.#credential = minted.token;
    return minted;
  }

  /** Hears how the sockets stand that the client opens at a path; returns what ends that. */
  watch(path: string, onState: (connection: Connection) => void): () => void {
    this.#watchers.set(path, onState);
    return () => {
      if (this.#watchers.get(path) === onState) this.#watchers.delete(path);
    };
  }

  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.read<T>(path, signal)).body;
  }

  read<T>(path: string, signal?: AbortSignal): Promise<{ body: T; headers: Headers }> {
    return this.#call<T>({}, path, signal);
  }

  /** Changes something; `body` is sent as JSON. An answer without content is null. */
  async send<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
    return (await this.#call<T>({ method, ...(body !== undefined && { body: JSON.stringify(body) }) }, path)).body;
  }

  async #call<T>(init: RequestInit, path: string, signal?: AbortSignal): Promise<{ body: T; headers: Headers }> {
    const headers: Record<string, string> = this.#credential === null ? {} : { Authorization: `Bearer ${this.#credential}` };
    if (init.body !== undefined) headers["Content-Type"] = "application/json";
    const timeout = AbortSignal.timeout(PATIENCE);
    let response: Response;
    let text: string;
    try {
      response = await fetch(path, { ...init, headers, signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
      text = await response.text();
    } catch (cause) {
      signal?.throwIfAborted();
      throw new SkerryError("unavailable", "The server does not answer.", { cause });
    }
    if (response.ok) return { body: (text === "" ? null : JSON.parse(text)) as T, headers: response.headers };
    const error = problem(response, text);
    if (isCredentialError(error.code)) this.#onRefused(error);
    throw error;
  }

  /** Reports a refusal that a socket found. */
  refused(error: SkerryError): void {
    if (isCredentialError(error.code)) this.#onRefused(error);
  }

  #connect(url: string, protocols: string[]): ReturnType<Runtime["connect"]> {
    const socket = new WebSocket(url, protocols);
    // Whoever leaves a page at once closes what is not open yet, of which a browser complains in red: it is closed once it is.
    const close = socket.close.bind(socket);
    socket.close = (code, reason) => {
      if (socket.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => close(code, reason));
      else close(code, reason);
    };
    const tell = (connection: Connection) => this.#watchers.get(new URL(url).pathname)?.(connection);
    socket.addEventListener("open", () => tell({ state: "live" }));
    socket.addEventListener("close", () => tell({ state: "waiting", detail: "The connection broke. Trying again." }));
    return socket as unknown as ReturnType<Runtime["connect"]>;
  }
}

function isCredentialError(code: ErrorCode): boolean {
  return code === "token_invalid" || code === "token_expired" || code === "token_revoked";
}

/** Reads an RFC 9457 problem; whatever else stands in the server's place (a proxy, say) is told by its status. */
function problem(response: Response, text: string): SkerryError {
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const options = Number.isFinite(retryAfter) ? { retryAfter } : {};
  try {
    const { code, detail } = JSON.parse(text) as { code: string; detail: string };
    if (Object.hasOwn(ERRORS, code)) return new SkerryError(code as ErrorCode, detail, options);
  } catch {
    // Not a problem document.
  }
  const code = response.status >= 500 ? "unavailable" : response.status === 404 ? "route_not_found" : "internal";
  return new SkerryError(code, `The server answered with status ${response.status}.`, options);
}
