// The few pure, deterministic globals that every runtime has and ECMAScript's own `lib` leaves out.
// Nothing here may observe time, randomness or the network.
declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
}
declare class TextDecoder {
  constructor(label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array | ArrayBuffer): string;
}
/** Base64 of characters up to U+00FF, each a byte. */
declare function btoa(text: string): string;
