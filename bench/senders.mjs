/** Opens the connections that carry the load: gRPC straight to a server, or HTTP/1.1 to an Envoy. */

import { connectHttp } from './http1-client.mjs';
import { connectGrpc } from './http2/grpc-client.mjs';

/** @typedef {import('./load.mjs').Answer} Answer */
/** @typedef {import('./load.mjs').Sender} Sender */

/**
 * @param {number} port
 * @param {number} connections
 * @param {number} inFlight concurrent calls over all connections
 * @returns {Promise<Sender[]>}
 */
export async function grpcSenders(port, connections, inFlight) {
  const clients = await Promise.all(Array.from({ length: connections }, () => connectGrpc(port)));
  return clients.map(({ call, close }) => ({
    capacity: Math.max(1, Math.round(inFlight / connections)),
    send: (bytes, onAnswer) => call(bytes, (message) => onAnswer(answerOf(message))),
    close,
  }));
}

/**
 * @param {number} port
 * @param {number} connections each with one request at a time
 * @returns {Promise<Sender[]>}
 */
export async function httpSenders(port, connections) {
  const clients = await Promise.all(Array.from({ length: connections }, () => connectHttp(port)));
  return clients.map(({ send, close }) => ({
    capacity: 1,
    send: (bytes, onAnswer) => send(bytes, (status) => onAnswer(STATUS[status] ?? 'failed')),
    close,
  }));
}

/** @type {Readonly<Record<number, Answer>>} */
const STATUS = { 200: 'allowed', 401: 'denied' };

/** CheckResponse { status { } }, whose code is 0 and may therefore be absent. */
const STATUS_FIELD = 0x0a;
const CODE_FIELD = 0x08;

/**
 * Reads the code of `CheckResponse.status`, the first field as every server writes it.
 * @param {Buffer | undefined} message
 * @returns {Answer}
 */
export function answerOf(message) {
  if (message === undefined || message[0] !== STATUS_FIELD) return 'failed';
  const hasCode = (message[1] ?? 0) >= 2 && message[2] === CODE_FIELD;
  return hasCode && message[3] !== 0 ? 'denied' : 'allowed';
}
