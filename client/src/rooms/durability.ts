/**
 * Which local edits the room has made durable. Edits are counted from 1. The room says how many document frames of
 * this connection are durable, so each frame is noted with the last edit that it covers.
 */
export class Durability {
  #edits = 0;
  #sent = 0;
  #durable = 0;
  #frames = 0;
  /** Frames of this connection that are not known to be durable, in order. */
  #marks: { frame: number; edit: number }[] = [];
  #waiting: { edit: number; resolve: () => void; reject: (reason: unknown) => void }[] = [];

  /** Edits ever made here. */
  get edits(): number {
    return this.#edits;
  }

  /** Edits that were not sent on this connection. */
  get unsent(): number {
    return this.#edits - this.#sent;
  }

  /** Edits that are not known to be durable. */
  get undurable(): number {
    return this.#edits - this.#durable;
  }

  /** Notes an edit; returns its number. */
  edited(): number {
    return ++this.#edits;
  }

  /** A document frame was sent that holds all edits up to `edit`, alone or with what went before. */
  sent(edit: number): void {
    this.#sent = edit;
    this.#marks.push({ frame: ++this.#frames, edit });
  }

  /** The first `count` document frames of this connection are durable. */
  persisted(count: number): void {
    let mark = this.#marks[0];
    while (mark !== undefined && mark.frame <= count) {
      this.#durable = Math.max(this.#durable, mark.edit);
      this.#marks.shift();
      mark = this.#marks[0];
    }
    this.#waiting = this.#waiting.filter(({ edit, resolve }) => {
      if (edit > this.#durable) return true;
      resolve();
      return false;
    });
  }

  /** The connection is gone. What it was sent may have arrived or not: the next one settles that. */
  lost(): void {
    this.#sent = this.#durable;
    this.#frames = 0;
    this.#marks = [];
  }

  /** Resolves when all edits so far are durable. */
  wait(): Promise<void> {
    if (this.undurable === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ edit: this.#edits, resolve, reject }));
  }

  /** They will not become durable. */
  reject(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}
