import { type CallResult, callFrame, parseServerFrame, type ServerFrame, SUBPROTOCOL } from "../../../core/wire/frames.ts";
import type { Http } from "../http.ts";
import { Link } from "../link.ts";

/** How often a replica that says the silent leader lives is asked again before it is believed, and how long apart. */
const DOUBTS = 5;
const AGAIN_MS = 100;
/** Another replica that says nothing for so long is left for the next. */
const PATIENCE_MS = 1_500;
const GIVE_UP_MS = 10_000;
/** A question for the leader alone, which changes nothing: nobody has such a lease. */
const QUESTION = '{"leaseTimeToLive":{"id":"-1"}';

export type ScoutEvents = {
  /** This replica leads now. */
  found(leader: number): void;
  /** Nothing was found: the silent one leads still as far as others know, or nobody answers. */
  over(): void;
};

/**
 * Asks other replicas, over a connection of its own, whether one of them leads in place of a silent one; that question makes
 * them elect a leader where there is none. The silent one's own connection is left alone: it may only be slow.
 */
export class Scout {
  readonly #http: Http;
  readonly #path: string;
  readonly #silent: number;
  readonly #events: ScoutEvents;
  readonly #link: Link;
  readonly #timers = new Set<() => void>();
  #not: number;
  #member = 0;
  #asked = 0;
  #doubts = 0;
  #ended = false;
  #cancelPatience: (() => void) | null = null;

  constructor(http: Http, path: string, silent: number, events: ScoutEvents) {
    this.#http = http;
    this.#path = path;
    this.#silent = silent;
    this.#not = silent;
    this.#events = events;
    const url = () => `${this.#path}?to=other${this.#not > 0 ? `&not=${this.#not}` : ""}`;
    this.#link = new Link(
      http,
      { path: url, protocols: [SUBPROTOCOL], binary: false, silence: GIVE_UP_MS * 2, pause: 500, probe: async () => {} },
      {
        open: () => this.#ask(),
        message: (data) => this.#hear(data),
        ping: () => {},
        token: () => {},
        lost: () => this.#next(),
        failed: () => this.#over(),
      },
    );
    this.#later(GIVE_UP_MS, () => this.#over());
    this.#wait();
    this.#link.start();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#cancelPatience?.();
    this.#link.end();
  }

  #ask(): void {
    const silent = this.#silent === 0 ? "}" : `,"silent":${this.#silent}}`;
    this.#link.send(callFrame(++this.#asked, this.#asked - 1, [QUESTION + silent]));
    this.#wait();
  }

  #hear(data: unknown): void {
    let frame: ServerFrame;
    try {
      frame = parseServerFrame(data as string);
    } catch {
      this.#over();
      return;
    }
    if (frame.type === "hello") this.#member = frame.member ?? 0;
    else if (frame.type === "result") for (const result of frame.results) this.#answered(result);
  }

  #answered(result: CallResult): void {
    if (this.#ended) return;
    if ("value" in result) {
      this.#found(this.#member);
      return;
    }
    const leader = result.error.code === "not_leader" ? Number(result.error.extra?.leader ?? 0) : 0;
    if (leader !== 0 && leader !== this.#silent) this.#found(leader);
    else if (leader !== 0 && ++this.#doubts > DOUBTS) this.#over();
    else this.#later(AGAIN_MS, () => this.#ask());
  }

  #next(): void {
    this.#not = this.#member > 0 ? this.#member : this.#not;
    this.#member = 0;
  }

  #wait(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = this.#http.runtime.timer(PATIENCE_MS, () => {
      this.#next();
      this.#link.move();
      this.#wait();
    });
  }

  #found(leader: number): void {
    this.end();
    this.#events.found(leader);
  }

  #over(): void {
    if (this.#ended) return;
    this.end();
    this.#events.over();
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#http.runtime.timer(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }
}
