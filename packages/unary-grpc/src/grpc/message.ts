/** The message of a call, as it arrives in DATA frames (gRPC over HTTP/2: "Length-Prefixed-Message"). */
import { failureBlock } from './responses.ts';

/** The compressed flag and the length. */
export const PREFIX_BYTES = 5;

/** A first allocation, so that a length alone allocates nothing. */
const FIRST_BYTES = 1024;

const EMPTY = Buffer.alloc(0);

/** Encoded once: a client can send many calls without a valid message for few bytes. */
export const SECOND_MESSAGE = failureBlock({
  status: 'UNIMPLEMENTED',
  details: 'second request message for a unary method',
});
const COMPRESSED = failureBlock({
  status: 'INTERNAL',
  details: 'compressed message without grpc-encoding',
});

/**
 * @returns the message, if DATA has all of it and nothing else. Nearly every message arrives so, and is not copied.
 */
export function wholeMessage(
  bytes: Buffer,
  from: number,
  to: number,
  maxMessageBytes: number,
): Buffer | undefined {
  const length = to - from - PREFIX_BYTES;
  if (length < 0 || length > maxMessageBytes || bytes[from] !== 0) return undefined;
  return readLength(bytes, from + 1) === length ? bytes.subarray(from + PREFIX_BYTES, to) : undefined;
}

function readLength(bytes: Buffer, at: number): number {
  return (
    (bytes[at] as number) * 0x100_0000 +
    (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
  );
}

/** A message that arrives in parts. */
export class PartialMessage {
  readonly #maxBytes: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  #bytes = EMPTY;
  #received = 0;
  #length = 0;

  constructor(maxMessageBytes: number) {
    this.#maxBytes = maxMessageBytes;
  }

  /** `undefined` until all of it has arrived. */
  get message(): Buffer | undefined {
    if (this.#prefixBytes < PREFIX_BYTES || this.#received < this.#length) return undefined;
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies, since the buffer of the socket may be far larger. @returns the response if the call fails. */
  add(bytes: Buffer, from: number, to: number): Buffer | undefined {
    let at = from;
    while (at < to && this.#prefixBytes < PREFIX_BYTES) {
      this.#prefix[this.#prefixBytes++] = bytes[at++] as number;
      if (this.#prefixBytes < PREFIX_BYTES) continue;
      const response = this.#readPrefix();
      if (response !== undefined) return response;
    }
    const count = to - at;
    if (count === 0) return undefined;
    if (this.#received + count > this.#length) return SECOND_MESSAGE;
    this.#reserve(this.#received + count);
    bytes.copy(this.#bytes, this.#received, at, to);
    this.#received += count;
    return undefined;
  }

  #readPrefix(): Buffer | undefined {
    if (this.#prefix[0] !== 0) return COMPRESSED;
    this.#length = readLength(this.#prefix, 1);
    return this.#length > this.#maxBytes ? tooLarge(this.#length, this.#maxBytes) : undefined;
  }

  #reserve(needed: number): void {
    if (needed <= this.#bytes.length) return;
    const capacity = Math.min(this.#length, Math.max(needed, 2 * this.#bytes.length, FIRST_BYTES));
    const grown = Buffer.allocUnsafe(capacity);
    grown.set(this.#bytes.subarray(0, this.#received));
    this.#bytes = grown;
  }
}

function tooLarge(length: number, maxBytes: number): Buffer {
  const details = `message of ${length} bytes; at most ${maxBytes} are accepted`;
  return failureBlock({ status: 'RESOURCE_EXHAUSTED', details });
}
