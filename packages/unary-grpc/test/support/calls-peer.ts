/** Drives the calls of a connection with bytes, and shows their responses. */

import { Calls } from '../../src/grpc/calls.ts';
import type { CallEnd, UnaryMethod } from '../../src/grpc/method.ts';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { PREFACE, parseFrames, SETTINGS, SETTINGS_ACK } from './frames.ts';

export const PATH = '/test.Echo/Echo';

export interface Response {
  /** Of the first header block, and of the trailers. */
  readonly headers: Record<string, string>;
  readonly message: string | undefined;
  readonly reset: number | undefined;
}

export interface CallsPeer {
  readonly calls: Calls;
  readonly ends: CallEnd[];
  readonly handlerErrors: unknown[];
  /** How often output was announced outside of `receive`. */
  announced(): number;
  setTime(nowMs: number): void;
  send(...parts: readonly Buffer[]): void;
  /** The responses since the last call, by stream. */
  responses(): Map<number, Response>;
}

export function connectCalls(
  handle: UnaryMethod['handle'],
  { maxMessageBytes = 1000, maxHeaderListBytes = 16_384, maxConcurrentStreams = 100 } = {},
): CallsPeer {
  const ends: CallEnd[] = [];
  const handlerErrors: unknown[] = [];
  let announced = 0;
  let nowMs = 1_000_000;
  const onStarted = () => (end: CallEnd) => void ends.push(end);
  const calls = new Calls(
    {
      methods: new Map([[PATH, { handle, onStarted }]]),
      maxMessageBytes,
      maxHeaderListBytes,
      headers: ['traceparent'],
      onHandlerError: (error) => void handlerErrors.push(error),
    },
    { maxConcurrentStreams, streamWindowBytes: 65_535, incompleteBytes: { count: 0 } },
    () => announced++,
  );
  const decoder = new HpackDecoder();
  const send = (...parts: readonly Buffer[]): void => calls.receive(Buffer.concat(parts), nowMs);

  function responses(): Map<number, Response> {
    const byStream = new Map<number, Response>();
    for (const { type, stream, payload } of parseFrames(calls.connection.takeOutput() ?? Buffer.alloc(0))) {
      if (stream === 0) continue;
      const before = byStream.get(stream) ?? { headers: {}, message: undefined, reset: undefined };
      const headers = { ...before.headers };
      if (type === 'HEADERS') {
        decoder.decode(payload, (name, value) => {
          headers[name] = value;
        });
      }
      byStream.set(stream, {
        headers,
        message: type === 'DATA' ? payload.toString('latin1', 5) : before.message,
        reset: type === 'RST_STREAM' ? payload.readUInt32BE() : before.reset,
      });
    }
    return byStream;
  }

  send(PREFACE, SETTINGS, SETTINGS_ACK);
  responses();
  return {
    calls,
    ends,
    handlerErrors,
    announced: () => announced,
    setTime(next) {
      nowMs = next;
    },
    send,
    responses,
  };
}
