import { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
import { joinContexts, seenOf, withSeen } from "./context.ts";
import { backoff, pause, type Runtime } from "./runtime.ts";

/** A token, or what makes one: called at first use, and again when the last one is refused as expired. */
export type TokenSource = string | (() => string | Promise<string>);

/** Times in Unix milliseconds. `token` is shown this once; nobody stores it. */
export type MintedToken = { token: string; id: string; expiresAt: number; refreshableUntil: number };

/** What every call takes last. */
export type CallOptions = {
  /** Ends the call with the signal's reason. */
  signal?: AbortSignal | undefined;
};

export type RequestOptions = CallOptions & {
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  raw?: { type: string; data: string | Uint8Array };
  /** Attempts, the first included, in place of the client's own number. */
  attempts?: number;
  /** Called when an attempt failed in a way that does not tell whether the server acted on it, or on all of it. */
  onDoubt?: () => void;
};

export type HttpOptions = {
  url: string;
  token: TokenSource | undefined;
  project: string | undefined;
  /** Attempts a request gets, the first included, where the error allows another. */
  attempts: number;
  /** Milliseconds that one attempt may take, its answer's body included. */
  timeout: number;
  runtime: Runtime;
};

/** Requests with token, causal context, retries and errors as {@link SkerryError}. */
export class Http {
  readonly runtime: Runtime;
  readonly #base: string;
  readonly #source: TokenSource | undefined;
  readonly #project: string | undefined;
  readonly #attempts: number;
  readonly #timeout: number;
  #token: Promise<string> | null = null;
  #current: string | null = null;
  #refreshing: Promise<MintedToken> | null = null;
  #context: string | null = null;
  /** Seen by other ways than requests, and not in the token yet: making one for each answer of a socket would cost more than the answer. */
  readonly #seen = new Map<string, number>();

  constructor(options: HttpOptions) {
    this.#base = options.url.replace(/\/+$/, "");
    this.#source = options.token;
    this.#project = options.project;
    this.#attempts = options.attempts;
    this.#timeout = options.timeout;
    this.runtime = options.runtime;
  }

  /** What this client has seen, as an opaque token to hand to another client; null before the first answer. */
  get context(): string | null {
    for (const [object, at] of this.#seen) this.#context = withSeen(this.#context, object, at);
    this.#seen.clear();
    return this.#context;
  }

  /** An answer that was no request's has shown an object at a position. */
  saw(object: string, at: number): void {
    if (at > (this.#seen.get(object) ?? 0)) this.#seen.set(object, at);
  }

  /** How far this client has seen an object; 0: not at all. */
  seen(object: string): number {
    return Math.max(this.#seen.get(object) ?? 0, seenOf(this.#context, object));
  }

  /** Takes over what another client has seen: later reads show at least that. */
  see(context: string): void {
    this.#context = joinContexts(this.context, context);
  }

  /** Whether the client can make a new token when one has expired. */
  get canRenew(): boolean {
    return typeof this.#source === "function";
  }

  /** The token in use, or null where the client acts as anonymous. Throws what the source does, or `unavailable`. */
  async token(): Promise<string | null> {
    if (this.#source === undefined) return null;
    const source = this.#source;
    this.#token ??= typeof source === "string" ? Promise.resolve(source) : (async () => source())();
    const made = this.#token;
    try {
      const token = await made;
      if (this.#token === made) this.#current = token;
      return token;
    } catch (cause) {
      // A source that failed is asked again next time: it may have been out of reach.
      if (this.#token === made) this.#token = null;
      throw cause instanceof SkerryError ? cause : new SkerryError("unavailable", `No token: ${(cause as Error).message}.`, { cause });
    }
  }

  /** Forgets `token` if it is still the one in use, so that the source is asked for another. */
  renew(token: string | null): void {
    if (token === this.#current) this.#token = null;
  }

  /** Swaps the token in use for its successor, which is used from here on. Whoever asks meanwhile gets the same one. */
  refresh(): Promise<MintedToken> {
    this.#refreshing ??= this.json<MintedToken>("POST", "/v1/tokens/refresh")
      .then((minted) => {
        this.#token = Promise.resolve(minted.token);
        this.#current = minted.token;
        return minted;
      })
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  /** A token that ends later than `held`: the one in use if that is another by now, else the successor. */
  async successor(held: string): Promise<string> {
    const token = await this.token();
    return token !== null && token !== held ? token : (await this.refresh()).token;
  }

  /** The URL of a socket, with the token where browsers can send it. */
  socketUrl(path: string, token: string | null): string {
    const url = new URL(this.#base + path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (token !== null) url.searchParams.set("token", token);
    if (this.#project !== undefined && !isToken(token)) {
      throw new SkerryError("project_mismatch", `A socket acts in the project of its token: make one for "${this.#project}".`);
    }
    return url.href;
  }

  /** Sends a request; resolves to what `read` makes of a successful answer. Throws `SkerryError`, or the signal's reason. */
  async request<T>(method: string, path: string, options: RequestOptions, read: (response: Response) => T | Promise<T>): Promise<T> {
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted();
      const token = await this.token();
      const outcome = await this.#attempt(method, path, options, token, read);
      if (outcome.error === null) return outcome.value;
      const { error } = outcome;
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
  json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    return this.request(method, path, options, (response) => response.json() as Promise<T>);
  }

  /** Deletes what is at `path`. What is gone after an attempt whose answer was lost was deleted by it. */
  async delete(path: string, gone: ErrorCode, options: CallOptions): Promise<void> {
    let inDoubt = false;
    const onDoubt = () => {
      inDoubt = true;
    };
    try {
      await this.request("DELETE", path, { signal: options.signal, onDoubt }, () => {});
    } catch (error) {
      if (!inDoubt || !(error instanceof SkerryError) || error.code !== gone) throw error;
    }
  }

  async #attempt<T>(
    method: string,
    path: string,
    options: RequestOptions,
    token: string | null,
    read: (response: Response) => T | Promise<T>,
  ): Promise<{ value: T; error: null } | { error: SkerryError }> {
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(options.query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
    const { context } = this;
    const raw = options.raw ?? (options.body === undefined ? undefined : { type: "application/json", data: JSON.stringify(options.body) });
    const headers = {
      accept: "application/json",
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(this.#project !== undefined && { "skerry-project": this.#project }),
      ...(raw !== undefined && { "content-type": raw.type }),
      ...(context !== null && { "skerry-context": context }),
      ...options.headers,
    };
    const limit = new AbortController();
    const cancel = this.runtime.timer(this.#timeout, () => limit.abort(new Error(`no answer within ${this.#timeout} ms`)));
    const signal = options.signal === undefined ? limit.signal : AbortSignal.any([options.signal, limit.signal]);
    try {
      const response = await this.runtime.fetch(url.href, {
        method,
        headers,
        signal,
        ...(raw !== undefined && { body: raw.data as BodyInit }),
      });
      const shown = response.headers.get("skerry-context");
      if (shown !== null) this.see(shown);
      if (response.ok) return { value: await read(response), error: null };
      return { error: await problem(response) };
    } catch (cause) {
      if (options.signal?.aborted) options.onDoubt?.();
      options.signal?.throwIfAborted();
      const reason = limit.signal.aborted ? limit.signal.reason : cause;
      return { error: new SkerryError("unavailable", `${url.host} did not answer: ${(reason as Error).message}.`, { cause }) };
    } finally {
      cancel();
    }
  }
}

/** Tokens are JSON Web Tokens, which are three parts; the admin key is not. */
function isToken(credential: string | null): boolean {
  return credential?.split(".").length === 3;
}

/** The error of an answer that is none of success: its problem document, or what its status says. */
async function problem(response: Response): Promise<SkerryError> {
  const after = Number(response.headers.get("retry-after"));
  const retryAfter = after > 0 ? { retryAfter: after } : {};
  let said: string | null = null;
  try {
    const { code, detail, type: _, title, status: __, retryable: ___, ...extra } = JSON.parse(await response.text());
    if (isCode(code)) return new SkerryError(code, String(detail ?? title), { ...retryAfter, extra });
    // A standard protocol's own shape: Open Inference has a sentence and no code.
    if (typeof extra.error === "string") said = extra.error;
  } catch {
    // Not one of ours: a proxy's page, or cut short.
  }
  return new SkerryError(codeOf(response, said !== null), said ?? `The server answered ${response.status} without saying why.`, retryAfter);
}

/** The code of an error that names none: a challenge tells it (RFC 6750), otherwise the status does. */
function codeOf(response: Response, ours: boolean): ErrorCode {
  const { status } = response;
  const challenged = /error_description="(\w+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1];
  if (isCode(challenged)) return challenged;
  if (status === 429) return "overloaded";
  // A proxy's 5xx may pass; a model that failed on its input will fail again.
  if (status >= 500) return ours && status === 500 ? "model_failed" : "unavailable";
  return (ours && BY_STATUS[status]) || "bad_request";
}

const BY_STATUS: Record<number, ErrorCode> = { 401: "token_missing", 403: "forbidden", 404: "model_not_found", 413: "too_large" };

export function isCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERRORS, code);
}
