/** A gRPC client for unary calls on a plain socket, cheap enough that the server is what limits a measurement. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createFrameReader, FLAG, FRAME, frame, PREFACE, windowUpdate } from './frames.mjs';
import { encodeHeaders } from './header-blocks.mjs';

const HEADER_TABLE_SIZE = 1;
const DEFAULT_TABLE_BYTES = 4096;
const DEFAULT_WINDOW = 65535;
/** Answers of this many bytes are received before the server's window is opened again. */
const WINDOW_STEP = 1 << 20;

/** What Envoy sends with each Check. Its timeout is 0.2 s by default: longer here, as on a busy machine an answer may take that. */
const HEADERS = /** @type {const} */ ([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/envoy.service.auth.v3.Authorization/Check'],
  [':authority', 'approov-ext-authz'],
  ['te', 'trailers'],
  ['grpc-timeout', '5000m'],
  ['content-type', 'application/grpc'],
  ['x-envoy-internal', 'true'],
  ['x-forwarded-for', '10.0.0.7'],
  ['x-envoy-expected-rq-timeout-ms', '5000'],
]);

/** @typedef {(message: Buffer | undefined) => void} OnMessage the answer's message, or `undefined` if the call failed */

/**
 * @typedef {object} GrpcClient
 * @property {(message: Buffer, onMessage: OnMessage) => void} call
 * @property {() => void} close
 */

/**
 * @param {number} port on loopback
 * @returns {Promise<GrpcClient>}
 */
export async function connectGrpc(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const connection = createConnection(socket);
  socket.write(
    Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(0)), windowUpdate(0, WINDOW_STEP)]),
  );
  await connection.ready;
  return connection;
}

/** @param {import('node:net').Socket} socket */
function createConnection(socket) {
  /** @type {Map<number, { onMessage: OnMessage, body: Buffer | undefined }>} */
  const calls = new Map();
  /** @type {{ message: Buffer, onMessage: OnMessage }[]} */
  const waiting = [];
  let blocks = encodeHeaders(HEADERS, DEFAULT_TABLE_BYTES);
  let nextId = 1;
  let window = DEFAULT_WINDOW;
  let received = 0;
  /** @type {() => void} */
  let onSettings = () => undefined;
  const ready = /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      onSettings = resolve;
      socket.once('close', () => reject(new Error('the server closed the connection')));
    })
  );

  /** @param {number} id @param {boolean} failed */
  function end(id, failed) {
    const call = calls.get(id);
    calls.delete(id);
    call?.onMessage(failed ? undefined : call.body?.subarray(5));
  }

  /** @type {Readonly<Record<number, (flags: number, id: number, payload: Buffer) => void>>} */
  const handlers = {
    [FRAME.data](flags, id, payload) {
      const call = calls.get(id);
      if (call !== undefined)
        call.body = call.body === undefined ? payload : Buffer.concat([call.body, payload]);
      received += payload.length;
      if (received > WINDOW_STEP / 2) {
        socket.write(windowUpdate(0, received));
        received = 0;
      }
      if (flags & FLAG.endStream) end(id, false);
    },
    [FRAME.headers](flags, id) {
      if (flags & FLAG.endStream) end(id, false);
    },
    [FRAME.rstStream]: (_flags, id) => end(id, true),
    [FRAME.settings](flags, _id, payload) {
      if (flags & FLAG.ack) return;
      blocks = encodeHeaders(HEADERS, tableBytesOf(payload));
      socket.write(frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)));
      onSettings();
    },
    [FRAME.ping](flags, _id, payload) {
      if ((flags & FLAG.ack) === 0) socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
    },
    [FRAME.windowUpdate](_flags, id, payload) {
      if (id !== 0) return;
      window += payload.readUInt32BE(0);
      for (const { message, onMessage } of waiting.splice(0)) call(message, onMessage);
    },
    [FRAME.goaway]: () => socket.destroy(),
  };

  /** @param {Buffer} message @param {OnMessage} onMessage */
  function call(message, onMessage) {
    if (socket.destroyed) return onMessage(undefined);
    if (message.length > window) return void waiting.push({ message, onMessage });
    window -= message.length;
    const id = nextId;
    nextId += 2;
    calls.set(id, { onMessage, body: undefined });
    const headers = frame(FRAME.headers, FLAG.endHeaders, id, id === 1 ? blocks.first : blocks.next);
    const head = frame(FRAME.data, FLAG.endStream, id, Buffer.alloc(0));
    head.writeUIntBE(message.length, 0, 3);
    socket.write(Buffer.concat([headers, head, message]));
  }

  const read = createFrameReader((type, flags, id, payload) => handlers[type]?.(flags, id, payload));
  socket.on('data', (chunk) => {
    // Calls that answers lead to go out in one write.
    socket.cork();
    read(chunk);
    socket.uncork();
  });
  socket.on('error', () => undefined);
  socket.once('close', () => {
    for (const id of [...calls.keys()]) end(id, true);
    for (const { onMessage } of waiting.splice(0)) onMessage(undefined);
  });
  return { ready, call, close: () => socket.destroy() };
}

/** @param {Buffer} settings */
function tableBytesOf(settings) {
  for (let at = 0; at < settings.length; at += 6) {
    if (settings.readUInt16BE(at) === HEADER_TABLE_SIZE)
      return Math.min(settings.readUInt32BE(at + 2), DEFAULT_TABLE_BYTES);
  }
  return DEFAULT_TABLE_BYTES;
}
