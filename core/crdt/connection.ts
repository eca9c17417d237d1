import type { PresenceState } from "./protocol.ts";

/** Who a connection is, as the shell has established it. */
export type ConnectionInfo = {
  mayWrite: boolean;
  /** It asked for extension frames. */
  extended: boolean;
  /** Connections of one subject may take over each other's presence. */
  subject: string;
};

/**
 * What a connection needs back after hibernation. `presence` is null where its states were too large to keep: the
 * client is asked for them again.
 */
export type SavedConnection = { received: number; presence: PresenceState[] | null };

/** Bytes sent after which a connection must prove that it has read them. */
const PROBE_AFTER = 1024 * 1024;

/** One open socket, and what is known of how far its client has read: a server socket cannot tell what it still buffers. */
export class Connection {
  readonly id: number;
  readonly info: ConnectionInfo;
  /** Document frames accepted from it since it connected. */
  received: number;
  /** How many of these it was told are durable. */
  acknowledged: number;
  /** It was told that it may not write. */
  denied = false;
  /** Questions sent that a client answers once it reads them (sync step 1, or a ping), and answers that came back. */
  #asked = 0;
  #answered = 0;
  /** Bytes sent that it has not proven to have read. */
  unproven = 0;
  #probe: { question: number; before: number } | null = null;

  constructor(id: number, info: ConnectionInfo, received: number) {
    this.id = id;
    this.info = info;
    this.received = received;
    this.acknowledged = received;
  }

  /** Whether it was ever asked for what we lack. */
  get asked(): boolean {
    return this.#asked > 0;
  }

  get wantsProbe(): boolean {
    return this.#probe === null && this.unproven > PROBE_AFTER;
  }

  /** Notes a question that is about to be sent; returns its number. */
  ask(): number {
    this.#asked++;
    return this.#asked;
  }

  /** The next question proves, when answered, that everything sent so far was read. */
  probe(): number {
    const question = this.ask();
    this.#probe = { question, before: this.unproven };
    return question;
  }

  /** An answer came: to the next question, as clients answer in order, or to the one it names. */
  answer(question = this.#answered + 1): void {
    this.#answered = Math.min(Math.max(this.#answered, question), this.#asked);
    if (this.#probe === null || this.#answered < this.#probe.question) return;
    this.unproven -= this.#probe.before;
    this.#probe = null;
  }
}
