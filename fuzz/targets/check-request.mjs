/** Decodes CheckRequests: any bytes, with the error that callers expect, and the same headers by both ways to read them. */
import assert from 'node:assert/strict';
import { decodeCheckRequest } from '../../src/envoy/check-request-decoder.ts';
import { WireError } from '../../src/envoy/wire.ts';

const NAMES = new Set(['approov-token', 'authorization', 'x-a']);

export const covers = ['check-request-decoder', 'check-request-fields', 'header-collector', 'wire'].map(
  (name) => `dist/envoy/${name}.js`,
);

/** @param {Buffer} data */
export function fuzz(data) {
  const request = decode(data);
  if (request === undefined) return;
  const all = request.allHeaders();
  for (const name of NAMES) assert.deepEqual(request.headers.get(name), all.get(name));
  for (const text of [request.method, request.path, request.host, request.sourceAddress, request.requestId])
    assert.equal(typeof text, 'string');
  for (const values of all.values()) for (const value of values) assertWithin(value, data);
  assertWithin(request.body, data);
  for (const alias of request.resultHeaderAliases) assert.match(alias, /_/);
}

/** @param {Buffer} data */
function decode(data) {
  try {
    return decodeCheckRequest(data, NAMES);
  } catch (error) {
    assert.ok(error instanceof WireError);
    return undefined;
  }
}

/** A view never reaches beyond the message. @param {Buffer} view @param {Buffer} data */
function assertWithin(view, data) {
  assert.equal(view.buffer, data.buffer);
  assert.ok(view.byteOffset >= data.byteOffset);
  assert.ok(view.byteOffset + view.length <= data.byteOffset + data.length);
}

/** @param {number} number @param {readonly (string | Uint8Array)[]} content */
function field(number, ...content) {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(/** @type {string} */ (part))));
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.from([number * 8 + 2, ...length, ...bytes]);
}

const MAP_HEADERS = ['approov-token', 'X_Approov-verdict', 'x-a', 'cookie'].map((name) =>
  field(3, field(1, name), field(2, 'value')),
);
const RAW_HEADERS = field(
  13,
  ...['Approov-Token', 'x-a'].map((name) => field(1, field(1, name), field(3, 'raw'))),
);
/** @param {readonly Uint8Array[]} http */
const request = (...http) =>
  field(
    1,
    field(1, field(1, field(1, field(2, '192.0.2.1')))),
    field(4, field(2, ...http)),
    field(10, field(1, 'approov_policy'), field(2, 'p')),
  );

export const seeds = [
  request(field(1, 'id'), field(2, 'GET'), field(4, '/a?b=c'), field(5, 'host'), ...MAP_HEADERS),
  request(field(2, 'POST'), field(11, 'body'), RAW_HEADERS),
  Buffer.concat([request(RAW_HEADERS), request(...MAP_HEADERS, field(12, 'raw body'))]),
  Buffer.from('0b0b0c0c', 'hex'),
];

export const words = [
  ...['approov-token', 'approov_policy', 'x_approov_verdict', 'x-approov_reason', 'x_approov-mode'],
  ...MAP_HEADERS,
  RAW_HEADERS,
  Buffer.from('ffffffff0f', 'hex'),
  Buffer.from('ffffffffffffffffff01', 'hex'),
  Buffer.from('0b0c', 'hex'),
  field(1),
];
