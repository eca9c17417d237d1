/**
 * The numbers of one client's writes. A write keeps its number through all attempts, so that it happens once; a number whose
 * answer is here, or which was given up, is acknowledged with the next writes and can never happen later.
 */
export class WriteSession {
  readonly client: string;
  #last = 0;
  /** In ascending order. */
  readonly #open = new Set<number>();

  constructor(client: string) {
    this.client = client;
  }

  /** The session of a new write, as a request carries it. */
  begin(): [client: string, seq: number, ack: number] {
    const seq = ++this.#last;
    this.#open.add(seq);
    const [oldest] = this.#open;
    return [this.client, seq, (oldest as number) - 1];
  }

  /** The write is answered, or given up. */
  end(seq: number): void {
    this.#open.delete(seq);
  }
}
