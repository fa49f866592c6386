/** The client of the target `connection`: sends frames as the input says, and checks what comes back. */
import assert from 'node:assert/strict';
import { Calls } from '../../packages/unary-grpc/src/grpc/calls.ts';
import { withDefaults } from '../../packages/unary-grpc/src/options.ts';
import {
  DATA,
  EMPTY,
  EXPIRE,
  frame,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME_SIZE,
  PREFACE,
  RAW,
  READ,
  REFUSE,
  SETTINGS,
  SHUT_DOWN,
  STEPS,
  TICK,
  WINDOW_UPDATE,
} from './steps.mjs';

const INITIAL_WINDOW_BYTES = 65_535;
const INITIAL_FRAME_BYTES = 16_384;
const MAX_MESSAGE_BYTES = 100_000;
const MAX_STREAMS = 4;
/** The shortest call is a HEADERS frame of the size of its header, and its answer has three frames and some text. */
const MAX_GROWTH = 40;

const BIG_ANSWER = Buffer.alloc(90_000);
const FAILED = new Error('a handler that fails');

export class Peer {
  #started = 0;
  #ended = 0;
  #nowMs = 0;
  #sent = 0;
  #received = 0;
  /** @type {Buffer[]} */
  #pending = [PREFACE];
  /** @type {((answer: Buffer) => void)[]} */
  #promises = [];
  /** The most that may have been sent as DATA, by stream; 0 is the connection. @type {Map<number, number>} */
  #windows = new Map();
  #streamWindow = INITIAL_WINDOW_BYTES;
  /** SETTINGS_MAX_FRAME_SIZE. */
  #frameBytes = INITIAL_FRAME_BYTES;
  /** @type {Map<number, number>} */
  #dataBytes = new Map();
  #knowsLimits = true;

  calls = new Calls(
    {
      ...withDefaults({
        methods: this.#methods(),
        maxMessageBytes: MAX_MESSAGE_BYTES,
        maxHeaderListBytes: 1024,
      }),
      headers: ['x-a'],
      onHandlerError: (error) => assert.equal(error, FAILED),
    },
    {
      maxConcurrentStreams: MAX_STREAMS,
      streamWindowBytes: INITIAL_WINDOW_BYTES,
      incompleteBytes: { count: 0 },
    },
    () => this.#take(),
  );

  #methods() {
    const onStarted = () => {
      this.#started++;
      return () => {
        this.#ended++;
      };
    };
    /** @type {[string, import('../../packages/unary-grpc/src/grpc/method.ts').UnaryMethod['handle']][]} */
    const handlers = [
      ['/echo', (message) => message],
      ['/big', () => BIG_ANSWER],
      ['/slow', () => new Promise((resolve) => this.#promises.push(resolve))],
      [
        '/fail',
        () => {
          throw FAILED;
        },
      ],
      ['/deny', (_, call) => ({ status: 'UNAVAILABLE', details: `${call.header('x-a')}` })],
    ];
    return new Map(
      handlers.map(([path, handle]) => [
        path,
        {
          onStarted,
          /** @type {typeof handle} */
          handle: (message, call) => {
            assert.equal(call.path, path);
            assert.ok(message.length <= MAX_MESSAGE_BYTES);
            return handle(message, call);
          },
        },
      ]),
    );
  }

  /** @param {Buffer} data */
  play(data) {
    for (let at = 0; at < data.length; ) at = this.#step(data, at);
    this.#read();
  }

  /** A frame is its type, flags, stream and length in a byte each, and its payload. @param {Buffer} data @param {number} at */
  #step(data, at) {
    const kind = (data[at] ?? 0) % STEPS;
    if (kind < READ || kind === RAW) {
      const [flags = 0, stream = 0, length = 0] = data.subarray(at + 1, at + 4);
      const end = at + 4 + length;
      const payload = data.subarray(at + 4, end);
      if (kind === RAW) this.#raw(payload);
      else this.#frame(kind, flags, stream, payload);
      return end;
    }
    this.#read();
    const { connection } = this.calls;
    if (kind === TICK) {
      this.calls.tick(2);
      connection.tick(2);
    } else if (kind === EXPIRE) {
      this.#nowMs += 1000;
      this.calls.expire(this.#nowMs);
    } else if (kind === SHUT_DOWN) connection.shutDown();
    else if (kind === REFUSE) connection.refuseStreams();
    this.#take();
    return at + 1;
  }

  /** @param {Buffer} payload */
  #raw(payload) {
    this.#pending.push(payload);
    this.#knowsLimits = false;
  }

  /** @param {number} type @param {number} flags @param {number} stream @param {Buffer} payload */
  #frame(type, flags, stream, payload) {
    this.#pending.push(frame(type, flags, stream, payload));
    if (type === WINDOW_UPDATE && payload.length === 4)
      this.#grow(stream, payload.readUInt32BE() & 0x7fff_ffff);
    if (type !== SETTINGS) return;
    for (let at = 0; at + 6 <= payload.length; at += 6)
      this.#know(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  /** Of several values, the largest counts: others may be wrong, or apply later. @param {number} setting @param {number} value */
  #know(setting, value) {
    if (setting === INITIAL_WINDOW_SIZE) this.#streamWindow = Math.max(this.#streamWindow, value);
    if (setting === MAX_FRAME_SIZE) this.#frameBytes = Math.max(this.#frameBytes, value);
  }

  /** @param {number} stream @param {number} bytes */
  #grow(stream, bytes) {
    this.#windows.set(stream, (this.#windows.get(stream) ?? 0) + bytes);
  }

  #read() {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.receive(bytes);
  }

  /** @param {Buffer} bytes */
  receive(bytes) {
    this.#received += bytes.length;
    this.calls.receive(bytes, this.#nowMs);
    this.#take();
    assert.ok(this.calls.connection.activeStreams.size <= MAX_STREAMS);
  }

  #take() {
    const output = this.calls.connection.takeOutput() ?? EMPTY;
    for (let at = 0; at < output.length; ) {
      const length = output.readUIntBE(at, 3);
      const stream = output.readUInt32BE(at + 5);
      assert.ok(at + 9 + length <= output.length, 'a frame is not whole');
      assert.ok(!this.#knowsLimits || length <= this.#frameBytes, 'a frame is longer than the peer allows');
      if (output[at + 3] === DATA) this.#data(stream, length);
      else this.#sent += 9 + length;
      at += 9 + length;
    }
    assert.ok(this.#sent <= 1024 + MAX_GROWTH * this.#received, 'the output grows with little input');
  }

  /** @param {number} stream @param {number} length */
  #data(stream, length) {
    this.#count(0, length, INITIAL_WINDOW_BYTES);
    this.#count(stream, length, this.#streamWindow);
  }

  /** @param {number} id @param {number} length @param {number} initial */
  #count(id, length, initial) {
    const sent = (this.#dataBytes.get(id) ?? 0) + length;
    this.#dataBytes.set(id, sent);
    const isWithin = sent <= initial + (this.#windows.get(id) ?? 0);
    assert.ok(isWithin || !this.#knowsLimits, 'more DATA than the window allows');
  }

  /** The handlers that still run return. */
  async settle() {
    if (this.#promises.length === 0) return;
    for (const resolve of this.#promises) resolve(EMPTY);
    await new Promise((resolve) => setImmediate(resolve));
    this.#take();
  }

  end() {
    const { connection } = this.calls;
    if (connection.error === undefined) connection.abandon();
    assert.equal(this.#ended, this.#started, 'a call was not ended, or twice');
    assert.equal(connection.activeStreams.size, 0);
  }
}
