/** Takes DATA and gives its bytes back to the windows they came from (RFC 9113 §5.2, §6.9). */
import { CONNECTION_WINDOW_BYTES, MAX_INCOMPLETE_BYTES, MAX_INCOMPLETE_BYTES_OF_SERVER } from '../limits.ts';
import { consume, giveBack, INITIAL_WINDOW_BYTES } from './flow-control.ts';
import type { Output } from './output.ts';
import type { Stream } from './stream.ts';
import type { IncompleteBytes } from './stream-listener.ts';

export class Receiver<Call> {
  /** SETTINGS_INITIAL_WINDOW_SIZE. */
  readonly streamWindowBytes: number;
  /** §6.9: of the connection. */
  receivable = CONNECTION_WINDOW_BYTES;
  unreturned = 0;
  /** Bytes of requests that are not complete. */
  #incompleteBytes = 0;
  readonly #ofServer: IncompleteBytes;
  readonly #output: Output;

  constructor(output: Output, streamWindowBytes: number, ofServer: IncompleteBytes) {
    this.#output = output;
    this.streamWindowBytes = streamWindowBytes;
    this.#ofServer = ofServer;
  }

  /** §6.9.2: the window of a connection starts with a fixed size and grows by WINDOW_UPDATE. */
  openWindow(): void {
    this.#output.windowUpdate(0, CONNECTION_WINDOW_BYTES - INITIAL_WINDOW_BYTES);
  }

  /** @param count the length of the frame, padding included. @returns whether the window of the connection allows it. */
  arrived(count: number): boolean {
    return consume(this, count);
  }

  /** DATA that completes a request, or that is dropped: it is not kept. Dropped bytes count as well (§6.9). */
  release(count: number): void {
    const increment = giveBack(this, count, CONNECTION_WINDOW_BYTES);
    if (increment > 0) this.#output.windowUpdate(0, increment);
  }

  /**
   * DATA of a request that goes on. The window of the connection is not withheld when there are too many incomplete
   * requests, because none of them could be completed then (§5.2.2).
   * @returns whether there is room for it. There is if the request is the only one.
   */
  keep(stream: Stream<Call>, count: number): boolean {
    const increment = giveBack(stream, count, this.streamWindowBytes);
    if (increment > 0) this.#output.windowUpdate(stream.id, increment);
    stream.keptBytes += count;
    this.#incompleteBytes += count;
    this.#ofServer.count += count;
    this.release(count);
    const isWithinLimits =
      this.#incompleteBytes <= MAX_INCOMPLETE_BYTES && this.#ofServer.count <= MAX_INCOMPLETE_BYTES_OF_SERVER;
    return isWithinLimits || this.#incompleteBytes === stream.keptBytes;
  }

  /** The request is complete, or its stream closed. */
  settle(stream: Stream<Call>): void {
    this.#incompleteBytes -= stream.keptBytes;
    this.#ofServer.count -= stream.keptBytes;
    stream.keptBytes = 0;
  }
}
