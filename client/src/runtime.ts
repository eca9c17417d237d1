/** The part of the standard `WebSocket` that the client uses. */
export interface Socket {
  readonly readyState: number;
  /** Bytes sent and not yet on the network, where the socket tells. */
  readonly bufferedAmount?: number;
  /** Set to `arraybuffer` by what reads binary messages. */
  binaryType?: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** What the client needs of its surroundings. The defaults are the globals of every browser, of Node and of Workers. */
export type Runtime = {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  connect: (url: string, protocols: string[]) => Socket;
  /** Runs `run` after `ms` milliseconds; returns what cancels it. */
  timer: (ms: number, run: () => void) => () => void;
  /** Unix milliseconds. */
  now: () => number;
  /** From 0 to 1, to spread retries. */
  random: () => number;
  /** A name that nobody else has, for producers without one of their own. */
  uuid: () => string;
  /** Calls back whenever the network is there again; returns what ends that. */
  online: (run: () => void) => () => void;
};

export const GLOBAL_RUNTIME: Runtime = {
  fetch: (url, init) => globalThis.fetch(url, init),
  connect: (url, protocols) => new WebSocket(url, protocols) as unknown as Socket,
  timer: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  now: () => Date.now(),
  random: () => Math.random(),
  uuid: () => crypto.randomUUID(),
  online: (run) => {
    // Only browsers tell; elsewhere an attempt does.
    if (typeof window === "undefined" || typeof window.addEventListener !== "function") return () => {};
    window.addEventListener("online", run);
    return () => window.removeEventListener("online", run);
  },
};

/** Milliseconds before try `attempt` (from 0): exponential from `first` to `most`, and half of it drawn at random. */
export function backoff(runtime: Runtime, attempt: number, first: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(attempt, 20)) * (0.5 + runtime.random() / 2);
}

/** Waits, or rejects with the signal's reason as soon as that is aborted. */
export function pause(runtime: Runtime, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const cancel = runtime.timer(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    const abort = () => {
      cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Settles as `promise` does, or rejects with the signal's reason as soon as that is aborted. */
export function until<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
