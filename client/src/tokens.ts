import type { Grant } from "../../core/wire/grant.ts";
import type { Http } from "./http.ts";

export type TokenRequest = {
  grants: Grant[];
  /** Seconds. */
  expiresIn: number;
  /** Seconds after which refreshing ends. */
  maxLifetime?: number;
  /** Who the token is for. */
  subject?: string;
};

/** Times in Unix milliseconds. */
export type MintedToken = { token: string; id: string; expiresAt: number; refreshableUntil: number };

export class Tokens {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Makes a token. Needs the admin key. */
  create(request: TokenRequest, options: { signal?: AbortSignal } = {}): Promise<MintedToken> {
    // Another attempt would make another token, and nobody would know of the one whose answer was lost.
    return this.#http.json("POST", "/v1/tokens", { body: request, signal: options.signal, attempts: 1 });
  }

  /** Swaps the client's own token for one that ends later, which the client uses from here on. */
  async refresh(options: { signal?: AbortSignal } = {}): Promise<MintedToken> {
    const minted = await this.#http.json<MintedToken>("POST", "/v1/tokens/refresh", { signal: options.signal });
    this.#http.replace(minted.token);
    return minted;
  }
}
