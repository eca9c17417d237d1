import { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
import { joinContexts } from "./context.ts";
import { backoff, pause, type Runtime } from "./runtime.ts";

/** A token, or what makes one: called at first use, and again when the last one is refused as expired. */
export type TokenSource = string | (() => string | Promise<string>);

export type RequestOptions = {
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** Attempts, the first included, in place of the client's own number. */
  attempts?: number;
  /** Called when an attempt failed in a way that does not tell whether the server acted on it, or on all of it. */
  onDoubt?: () => void;
};

export type HttpOptions = {
  url: string;
  token: TokenSource | undefined;
  /** Attempts a request gets, the first included, where the error allows another. */
  attempts: number;
  /** Milliseconds that one attempt may take. */
  timeout: number;
  runtime: Runtime;
};

/** Requests with token, causal context, retries and errors as {@link SkerryError}. */
export class Http {
  readonly runtime: Runtime;
  readonly #base: string;
  readonly #source: TokenSource | undefined;
  readonly #attempts: number;
  readonly #timeout: number;
  #token: Promise<string> | null = null;
  #current: string | null = null;
  #context: string | null = null;

  constructor(options: HttpOptions) {
    this.#base = options.url.replace(/\/+$/, "");
    this.#source = options.token;
    this.#attempts = options.attempts;
    this.#timeout = options.timeout;
    this.runtime = options.runtime;
  }

  /** What this client has seen, as an opaque token to hand to another client; null before the first answer. */
  get context(): string | null {
    return this.#context;
  }

  /** Takes over what another client has seen: later reads show at least that. */
  see(context: string): void {
    this.#context = joinContexts(this.#context, context);
  }

  /** Whether the client can make a new token when one has expired. */
  get canRenew(): boolean {
    return typeof this.#source === "function";
  }

  /** The token in use, or null where the client acts as anonymous. */
  async token(): Promise<string | null> {
    if (this.#source === undefined) return null;
    const source = this.#source;
    this.#token ??= Promise.resolve(typeof source === "string" ? source : source());
    const made = this.#token;
    try {
      const token = await made;
      if (this.#token === made) this.#current = token;
      return token;
    } catch (error) {
      // A source that failed is asked again next time.
      if (this.#token === made) this.#token = null;
      throw error;
    }
  }

  /** Forgets `token` if it is still the one in use, so that the source is asked for another. */
  renew(token: string | null): void {
    if (token === this.#current) this.#token = null;
  }

  /** Uses `token` from here on. */
  replace(token: string): void {
    this.#token = Promise.resolve(token);
    this.#current = token;
  }

  /** The URL of a socket, with the token where browsers can send it. */
  async socketUrl(path: string): Promise<string> {
    const url = new URL(this.#base + path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const token = await this.token();
    if (token !== null) url.searchParams.set("token", token);
    return url.href;
  }

  /** Sends a request; resolves to its response if that is a success. Throws `SkerryError`, or the signal's reason. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted();
      const token = await this.token();
      const { response, error } = await this.#attempt(method, path, options, token);
      if (response !== null) return response;
      if (ERRORS[error.code].retryable) options.onDoubt?.();
      if (error.code === "token_expired" && this.canRenew && !renewed) {
        renewed = true;
        this.renew(token);
        continue;
      }
      const last = attempt + 1 >= (options.attempts ?? this.#attempts);
      if (last || !ERRORS[error.code].retryable) throw error;
      const asked = (error.retryAfter ?? 0) * 1000;
      await pause(this.runtime, Math.max(asked, backoff(this.runtime, attempt, 100, 5000)), options.signal);
    }
  }

  /** The body of a successful answer, as JSON. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    return (await this.request(method, path, options)).json() as Promise<T>;
  }

  async #attempt(
    method: string,
    path: string,
    options: RequestOptions,
    token: string | null,
  ): Promise<{ response: Response; error: null } | { response: null; error: SkerryError }> {
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(options.query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = {
      accept: "application/json",
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(this.#context !== null && { "skerry-context": this.#context }),
      ...options.headers,
    };
    const limit = new AbortController();
    const cancel = this.runtime.timer(this.#timeout, () => limit.abort(new Error(`no answer within ${this.#timeout} ms`)));
    const signal = options.signal === undefined ? limit.signal : AbortSignal.any([options.signal, limit.signal]);
    try {
      const response = await this.runtime.fetch(url.href, { method, headers, signal, ...(body !== undefined && { body }) });
      const context = response.headers.get("skerry-context");
      if (context !== null) this.see(context);
      if (response.ok) return { response, error: null };
      return { response: null, error: await problem(response) };
    } catch (cause) {
      if (options.signal?.aborted) options.onDoubt?.();
      options.signal?.throwIfAborted();
      const reason = limit.signal.aborted ? limit.signal.reason : cause;
      return {
        response: null,
        error: new SkerryError("unavailable", `${url.host} did not answer: ${(reason as Error).message}.`, { cause }),
      };
    } finally {
      cancel();
    }
  }
}

/** The error of an answer that is none of success: its problem document, or what its status says. */
async function problem(response: Response): Promise<SkerryError> {
  const after = Number(response.headers.get("retry-after"));
  const retryAfter = after > 0 ? { retryAfter: after } : {};
  try {
    const { code, detail, type: _, title, status: __, retryable: ___, ...extra } = JSON.parse(await response.text());
    if (typeof code === "string" && Object.hasOwn(ERRORS, code)) {
      return new SkerryError(code as ErrorCode, String(detail ?? title), { ...retryAfter, extra });
    }
  } catch {
    // Not one of ours: a proxy's page, or cut short.
  }
  const code = response.status === 429 ? "overloaded" : response.status >= 500 ? "unavailable" : "bad_request";
  return new SkerryError(code, `The server answered ${response.status} without saying why.`, retryAfter);
}
