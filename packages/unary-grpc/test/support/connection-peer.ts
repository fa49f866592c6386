/** Drives a connection with bytes, and shows what it did in words. */
import { Connection } from '../../src/http2/connection.ts';
import { ERROR_CODE } from '../../src/http2/error.ts';
import type { Stream } from '../../src/http2/stream.ts';
import type { RequestOptions, StreamListener } from '../../src/http2/stream-listener.ts';
import { PREFACE, parseFrames, type ReceivedFrame, SETTINGS, SETTINGS_ACK } from './frames.ts';

const OPTIONS: RequestOptions = {
  maxConcurrentStreams: 100,
  maxHeaderListBytes: 16_384,
  streamWindowBytes: 65_535,
  incompleteBytes: { count: 0 },
  fieldNames: ['content-type', 'x-kept'],
};

const CODE_NAMES = Object.fromEntries(Object.entries(ERROR_CODE).map(([name, code]) => [code, name]));

export class ConnectionPeer {
  readonly connection: Connection<string>;
  /** What the connection reported, in order. */
  readonly events: string[] = [];
  /** The streams of requests that have begun. */
  readonly streams = new Map<number, Stream<string>>();
  nowMs = 1_000_000;

  constructor(options: Partial<RequestOptions> = {}) {
    const listener: StreamListener<string> = {
      onRequest: (stream, fields) => {
        this.streams.set(stream.id, stream);
        const large = fields.isTooLarge ? ', too large' : '';
        this.events.push(`request ${stream.id} ${fields.path}${large}`);
      },
      onData: ({ id }, bytes, from, to) =>
        this.events.push(`data ${id} "${bytes.toString('latin1', from, to)}"`),
      onEnd: ({ id }) => this.events.push(`end ${id}`),
      onFull: () => undefined,
      onAnswered: ({ id }) => this.events.push(`answered ${id}`),
      onReset: ({ id }) => this.events.push(`reset ${id}`),
    };
    this.connection = new Connection({ ...OPTIONS, ...options }, listener);
  }

  /** After the prefaces of both sides, whose frames are read already. */
  static open(options: Partial<RequestOptions> = {}): ConnectionPeer {
    const peer = new ConnectionPeer(options);
    peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
    peer.received();
    return peer;
  }

  send(...parts: readonly Buffer[]): void {
    this.connection.receive(Buffer.concat(parts), this.nowMs);
  }

  stream(id: number): Stream<string> {
    const stream = this.streams.get(id);
    if (stream === undefined) throw new Error(`stream ${id} was not opened`);
    return stream;
  }

  /** Answers a request. */
  answer(id: number, body: Buffer): void {
    const response = {
      head: Buffer.of(0x88),
      prefix: Buffer.alloc(0),
      body,
      trailers: Buffer.from('\x00\x01t\x01v', 'latin1'),
    };
    this.connection.answer(this.stream(id), response);
  }

  /** The frames since the last call. */
  received(): ReceivedFrame[] {
    return parseFrames(this.connection.takeOutput() ?? Buffer.alloc(0));
  }

  /** The same, in words: the errors with their names, other frames with their type, stream and length. */
  receivedInWords(): string[] {
    return this.received().map(({ type, stream, payload }) => {
      if (type === 'RST_STREAM') return `RST_STREAM ${stream} ${CODE_NAMES[payload.readUInt32BE()]}`;
      if (type === 'GOAWAY')
        return `GOAWAY ${CODE_NAMES[payload.readUInt32BE(4)]}: ${payload.toString('latin1', 8)}`;
      if (type === 'WINDOW_UPDATE') return `WINDOW_UPDATE ${stream} +${payload.readUInt32BE()}`;
      return `${type} ${stream} (${payload.length})`;
    });
  }
}
