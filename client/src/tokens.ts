import type { Grant } from "../../core/wire/grant.ts";
import type { CallOptions, Http, MintedToken } from "./http.ts";
import type { PageOptions } from "./streams/streams.ts";

export type TokenRequest = {
  grants: Grant[];
  /** Seconds. */
  expiresIn: number;
  /** Seconds after which refreshing ends. */
  maxLifetime?: number;
  /** Who the token is for. */
  subject?: string;
};

/** A token as it is listed: never the token itself. Times in Unix milliseconds. */
export type TokenInfo = {
  id: string;
  keyId: string;
  subject: string;
  grants: Grant[];
  createdAt: number;
  expiresAt: number;
  maxExpiresAt: number;
  revokedAt: number | null;
};

/** Who the caller is and what it may do. */
export type Session = {
  project: string;
  subject: string;
  admin: boolean;
  tokenId: string | null;
  expiresAt: number | null;
  grants: Grant[];
  anonymousGrants: Grant[];
};

/** Tokens: made, listed and revoked with the admin key; refreshed by whoever holds one. */
export class Tokens {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Makes a token. Needs the admin key, so this is for your backend.
   * @example
   * const { token } = await admin.tokens.create({
   *   grants: [{ capability: "rooms", name: "team-*", rights: ["read", "write"] }],
   *   expiresIn: 3600,
   *   subject: "ada",
   * });
   */
  create(request: TokenRequest, options: CallOptions = {}): Promise<MintedToken> {
    // Another attempt would make another token, and nobody would know of the one whose answer was lost.
    return this.#http.json("POST", "/v1/tokens", { body: request, signal: options.signal, attempts: 1 });
  }

  /** Swaps the client's own token for one that ends later, which the client uses from here on. Open sockets do so by themselves. */
  refresh(): Promise<MintedToken> {
    return this.#http.refresh();
  }

  /** Tokens that have not expired, page by page. Needs the admin key. */
  list({ after, limit, signal }: PageOptions = {}): Promise<{ tokens: TokenInfo[]; next: string | null }> {
    return this.#http.json("GET", "/v1/tokens", { query: { after, limit }, signal });
  }

  /** Revokes a token and all its refreshed copies: requests within 5 seconds, sockets within 10. Needs the admin key. */
  revoke(id: string, options: CallOptions = {}): Promise<void> {
    return this.#http.delete(`/v1/tokens/${encodeURIComponent(id)}`, "token_not_found", options);
  }

  /** Who this client is to the server. */
  session(options: CallOptions = {}): Promise<Session> {
    return this.#http.json("GET", "/v1/session", { signal: options.signal });
  }
}
