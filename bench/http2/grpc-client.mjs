/** A gRPC client for unary calls on a plain socket, cheap enough that the server is what limits a measurement. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createCallWriter } from './call-writer.mjs';
import { createFrameReader, FLAG, FRAME, frame, PREFACE, windowUpdate } from './frames.mjs';

const HEADER_TABLE_SIZE = 1;
const EMPTY = Buffer.alloc(0);
/** The server's window is opened again after half as many bytes of answers. */
const WINDOW_BYTES = 1 << 20;
/** Of a gRPC message: a flag and its length. */
const PREFIX_BYTES = 5;

/** @typedef {(message: Buffer | undefined) => void} OnMessage the answer's message, or `undefined` if the call failed */

/**
 * @typedef {object} GrpcClient
 * @property {(message: Buffer, onMessage: OnMessage) => void} call with a message that has its gRPC prefix
 * @property {() => void} close
 */

/**
 * @param {number} port on loopback
 * @returns {Promise<GrpcClient>} once the server has sent its settings
 */
export async function connectGrpc(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return new Promise((resolve, reject) => {
    const client = createClient(socket, () => resolve(client));
    socket.once('close', () => reject(new Error('the server closed the connection')));
    socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, EMPTY), windowUpdate(0, WINDOW_BYTES)]));
  });
}

/**
 * @param {import('node:net').Socket} socket
 * @param {() => void} onSettings
 * @returns {GrpcClient}
 */
function createClient(socket, onSettings) {
  const calls = createCallTable();
  const writer = createCallWriter(socket);
  let received = 0;

  /** @type {Readonly<Record<number, (flags: number, id: number, payload: Buffer) => void>>} */
  const handlers = {
    [FRAME.data](flags, id, payload) {
      calls.append(id, payload);
      received += payload.length;
      if (received > WINDOW_BYTES / 2) {
        socket.write(windowUpdate(0, received));
        received = 0;
      }
      if (flags & FLAG.endStream) calls.end(id);
    },
    [FRAME.headers](flags, id) {
      if (flags & FLAG.endStream) calls.end(id);
    },
    [FRAME.rstStream]: (_flags, id) => calls.fail(id),
    [FRAME.settings](flags, _id, payload) {
      if (flags & FLAG.ack) return;
      const tableBytes = setting(payload, HEADER_TABLE_SIZE);
      if (tableBytes !== undefined) writer.limitTable(tableBytes);
      socket.write(frame(FRAME.settings, FLAG.ack, 0, EMPTY));
      onSettings();
    },
    [FRAME.ping](flags, _id, payload) {
      if ((flags & FLAG.ack) === 0) socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
    },
    [FRAME.windowUpdate](_flags, id, payload) {
      if (id === 0) writer.extendWindow(payload.readUInt32BE(0));
    },
    [FRAME.goaway]: () => socket.destroy(),
  };

  const read = createFrameReader((type, flags, id, payload) => handlers[type]?.(flags, id, payload));
  socket.on('data', (chunk) => {
    // Calls that answers lead to go out in one write.
    socket.cork();
    read(chunk);
    socket.uncork();
  });
  socket.on('error', () => undefined);
  socket.once('close', calls.failAll);
  return {
    call(message, onMessage) {
      if (socket.destroyed) onMessage(undefined);
      else calls.add(writer.write(message), onMessage);
    },
    close: () => socket.destroy(),
  };
}

/** The calls without an answer, by stream. */
function createCallTable() {
  /** @type {Map<number, { onMessage: OnMessage, body: Buffer }>} */
  const calls = new Map();

  /** @param {number} id @param {(body: Buffer) => Buffer | undefined} messageOf */
  function finish(id, messageOf) {
    const call = calls.get(id);
    calls.delete(id);
    call?.onMessage(messageOf(call.body));
  }

  return {
    add: (/** @type {number} */ id, /** @type {OnMessage} */ onMessage) =>
      void calls.set(id, { onMessage, body: EMPTY }),
    /** @param {number} id @param {Buffer} bytes */
    append(id, bytes) {
      const call = calls.get(id);
      if (call !== undefined) call.body = call.body.length === 0 ? bytes : Buffer.concat([call.body, bytes]);
    },
    end: (/** @type {number} */ id) => finish(id, (body) => body.subarray(PREFIX_BYTES)),
    fail: (/** @type {number} */ id) => finish(id, () => undefined),
    failAll() {
      for (const id of [...calls.keys()]) finish(id, () => undefined);
    },
  };
}

/**
 * The value of a setting, if a SETTINGS frame has it.
 * @param {Buffer} settings
 * @param {number} identifier
 */
function setting(settings, identifier) {
  for (let at = 0; at < settings.length; at += 6) {
    if (settings.readUInt16BE(at) === identifier) return settings.readUInt32BE(at + 2);
  }
  return undefined;
}
