import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import type * as Y from "yjs";

type Change = { added: number[]; updated: number[]; removed: number[] };

/** Who is present: one's own state goes out as it changes, and the others are those whom the room names. */
export class Presence {
  readonly awareness: Awareness;
  readonly #own: boolean;
  readonly #send: (states: Uint8Array) => void;

  constructor(doc: Y.Doc, given: Awareness | undefined, send: (states: Uint8Array) => void) {
    this.#own = given === undefined;
    this.awareness = given ?? new Awareness(doc);
    this.#send = send;
    this.awareness.on("update", this.#onUpdate);
  }

  /** Only one's own state is sent: the room knows by itself who else left. */
  readonly #onUpdate = ({ added, updated, removed }: Change, origin: unknown) => {
    const { clientID } = this.awareness;
    if (origin !== this && [added, updated, removed].some((clients) => clients.includes(clientID))) this.#sendOwn();
  };

  /** After connecting: a new clock, so that peers who saw this client leave see it again at once. */
  renew(): void {
    const state = this.awareness.getLocalState();
    if (state !== null) this.awareness.setLocalState(state);
  }

  announce(): void {
    if (this.awareness.getLocalState() !== null) this.#sendOwn();
  }

  /** Tells the room that one leaves, although its own state stays for other providers. */
  goodbye(): void {
    if (this.#own) this.awareness.setLocalState(null);
  }

  heard(states: Uint8Array): void {
    applyAwarenessUpdate(this.awareness, states, this);
  }

  /** The connection is gone: nobody is known to be present. */
  alone(): void {
    const { clientID, states, meta } = this.awareness;
    const others = [...states.keys()].filter((client) => client !== clientID);
    removeAwarenessStates(this.awareness, others, this);
    // Whoever is still there comes back with the clock it had, which must count as news.
    for (const client of others) meta.delete(client);
  }

  end(): void {
    this.awareness.off("update", this.#onUpdate);
    if (this.#own) this.awareness.destroy();
  }

  #sendOwn(): void {
    this.#send(encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]));
  }
}
