/** The orderly end of a connection in two GOAWAY frames (RFC 9113 §6.8). */
import { ERROR_CODE } from './error.ts';
import type { Output } from './output.ts';

/** Opaque to the client, which sends it back (§6.7). */
const PING = Buffer.from('shutdown', 'latin1');

/** The last stream id of a GOAWAY that does not say yet which stream is the last. */
const ANY_STREAM = 2 ** 31 - 1;

export class Shutdown {
  hasBegun = false;
  /** The final GOAWAY has been sent. */
  isFinal = false;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Announces that the connection will close. The reply to a PING shows which streams were opened before. */
  begin(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    this.#output.goAway(ANY_STREAM, ERROR_CODE.NO_ERROR, '');
    this.#output.ping(0, PING);
  }

  isReply(opaque: Buffer): boolean {
    return this.hasBegun && opaque.equals(PING);
  }

  /** Says which stream is the last that is answered. */
  finish(lastStreamId: number): void {
    this.isFinal = true;
    this.#output.goAway(lastStreamId, ERROR_CODE.NO_ERROR, '');
  }
}
