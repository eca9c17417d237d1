import type { Ask, Hint, Reply } from "./types.ts";

export type OpenAsk = { id: number; ask: Ask; hint: Hint; deadline: number };

/** What was asked of a replica and is not answered yet. Every ask gets exactly one reply. */
export class Asks {
  /** In the order of their deadlines, which all lie equally far from when they were asked. */
  readonly #open = new Map<number, OpenAsk>();
  #replies: { ask: number; reply: Reply }[] = [];

  get size(): number {
    return this.#open.size;
  }

  open(ask: OpenAsk): void {
    this.#open.set(ask.id, ask);
  }

  /** Still waits for its reply. */
  has(id: number): boolean {
    return this.#open.has(id);
  }

  /** The first reply counts. */
  reply(id: number, reply: Reply): void {
    if (this.#open.delete(id)) this.#replies.push({ ask: id, reply });
  }

  /** Answers what has waited too long. */
  expire(now: number, message: string): void {
    for (const { id, deadline } of this.#open.values()) {
      if (deadline > now) break;
      this.reply(id, { reply: "unavailable", message, retryAfterMs: 200 });
    }
  }

  deadline(): number | null {
    return this.#open.values().next().value?.deadline ?? null;
  }

  take(): { ask: number; reply: Reply }[] {
    const replies = this.#replies;
    this.#replies = [];
    return replies;
  }
}
