import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import type { WebsocketProvider } from "y-websocket";

/** The room's extension of the y-websocket protocol, for connections that ask with `?ack=1` (core/crdt/protocol.ts). */
const EXTENSION = 120;
const HELLO = 0;
const PERSISTED = 1;
const PING = 4;
const PONG = 17;

const SYNC = 0;
const STEP_2 = 1;
const UPDATE = 2;

type Handler = (encoder: encoding.Encoder, decoder: decoding.Decoder, provider: WebsocketProvider) => void;

/** Counts the document frames sent on one socket and those the server has called durable. */
export class AckCounter {
  #sent = 0;
  #durable = 0;
  readonly #onChange: (allDurable: boolean) => void;

  constructor(onChange: (allDurable: boolean) => void) {
    this.#onChange = onChange;
  }

  /** A WebSocket class for the provider, which shows this counter what goes out. */
  socketClass(): typeof WebSocket {
    const counter = this;
    return class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        counter.#sent = 0;
        counter.#durable = 0;
      }

      override send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>): void {
        if (data instanceof Uint8Array && data[0] === SYNC && (data[1] === STEP_2 || data[1] === UPDATE)) counter.#sent++;
        super.send(data as ArrayBufferView<ArrayBuffer>);
      }
    };
  }

  /** Makes the provider understand the room's extension frames. */
  attach(provider: WebsocketProvider): void {
    (provider.messageHandlers as Handler[])[EXTENSION] = (encoder, decoder) => {
      switch (decoding.readVarUint(decoder)) {
        case HELLO:
          decoding.readVarUint(decoder);
          // On the next connection the server refuses a history other than this one, instead of mixing the two.
          provider.params = { ...provider.params, epoch: decoding.readVarString(decoder) };
          return;
        case PERSISTED:
          this.#durable = decoding.readVarUint(decoder);
          this.#onChange(this.#durable >= this.#sent);
          return;
        case PING:
          encoding.writeVarUint(encoder, EXTENSION);
          encoding.writeVarUint(encoder, PONG);
          encoding.writeVarUint(encoder, decoding.readVarUint(decoder));
          return;
        default:
          // Later versions may say more; what is not understood is passed over.
          return;
      }
    };
  }
}
