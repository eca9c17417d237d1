/** How long to go on when the server does not answer, and how to wait: injected, so that tests need no real time. */
export type Patience = {
  /** Give up when nothing has succeeded for this long, ms. */
  patienceMs: number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  now: () => number;
};

export const REAL_TIME: Patience = {
  patienceMs: 120_000,
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
      if (signal?.aborted) done();
    }),
};

/** An answer that a retry will not change, with the problem document's own words. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly headers: Headers;

  constructor(what: string, response: Response, body: string) {
    const problem = parseProblem(body);
    super(`${what}: ${response.status}${problem.code === null ? "" : ` ${problem.code}`}: ${problem.detail}`);
    this.name = "Refused";
    this.status = response.status;
    this.code = problem.code;
    this.headers = response.headers;
  }
}

function parseProblem(body: string): { code: string | null; detail: string; retryable: boolean } {
  try {
    const { code = null, detail = body, retryable = false } = JSON.parse(body);
    return { code, detail, retryable };
  } catch {
    return { code: null, detail: body.slice(0, 200), retryable: false };
  }
}

export type RetryOptions = Patience & {
  signal?: AbortSignal;
  /** Called before each wait, with the reason in words. */
  onRetry?: (reason: string, waitMs: number) => void;
  /** Per attempt; a server killed between accept and answer must not hold the sender. */
  attemptMs?: number;
};

/**
 * One request, repeated while the server is away or busy: connection errors, 429, 502, 503, 504 and problems that say
 * `retryable`. Waits as `Retry-After` asks, else exponentially from 50 ms to 2 s with jitter.
 *
 * The request must be safe to repeat. Any other answer, an error too, is returned as it is.
 *
 * @throws Error when patience is at an end; the signal's reason when it is aborted
 */
export async function persist(
  what: string,
  url: string,
  init: RequestInit,
  options: RetryOptions,
): Promise<{ response: Response; body: string }> {
  const { signal, attemptMs = 30_000 } = options;
  const began = options.now();
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    let reason: string;
    let askedMs = 0;
    try {
      const timeout = AbortSignal.timeout(attemptMs);
      const response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
      const body = await response.text(); // a connection may also break here, and then nothing is acknowledged
      if (!isBusy(response.status, body)) return { response, body };
      askedMs = 1000 * (Number(response.headers.get("Retry-After")) || 0);
      reason = `${response.status} ${parseProblem(body).code ?? ""}`.trim();
    } catch (thrown) {
      signal?.throwIfAborted();
      reason = causeOf(thrown);
    }
    const waited = options.now() - began;
    if (waited >= options.patienceMs) throw new Error(`${what}: no success in ${Math.round(waited / 1000)} s, last: ${reason}.`);
    const backoff = Math.min(2000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);
    const wait = Math.max(askedMs, backoff);
    options.onRetry?.(reason, wait);
    await options.sleep(wait, signal);
  }
}

function isBusy(status: number, body: string): boolean {
  return [429, 502, 503, 504].includes(status) || (status === 500 && parseProblem(body).retryable);
}

function causeOf(thrown: unknown): string {
  const error = thrown as Error & { cause?: { code?: string; message?: string } };
  return error.cause?.code ?? error.cause?.message ?? error.message;
}
