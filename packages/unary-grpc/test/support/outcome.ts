/** Sends bytes to a server as a client does, and describes what became of the connection and of each stream. */
import { connectRaw, FRAME, PREFACE, type RawPeer, SETTINGS } from '../../../../test/support/raw-http2.ts';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { ping } from './wire.ts';

/** RFC 9113 §7. */
const ERROR_CODES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** Of PINGs after the last byte: a server that answers from a later turn of its event loop gets this many. */
const ROUND_TRIPS = 5;

/** @param parts the bytes after preface and SETTINGS, or all of them if `isWhole`; each is a write of its own. */
export async function outcomeOf(address: string, parts: readonly Buffer[], isWhole = false): Promise<string> {
  const peer = await connectRaw(address);
  try {
    if (!isWhole) await peer.write(Buffer.concat([PREFACE, SETTINGS]));
    for (const part of parts) await peer.write(part);
    await settle(peer);
    return describeOutcome(peer);
  } finally {
    peer.destroy();
  }
}

/** Sends bytes and hangs up once a part of the response has arrived. */
export async function send(address: string, bytes: Buffer, isWhole = false): Promise<void> {
  const peer = await connectRaw(address);
  await peer.write(isWhole ? bytes : Buffer.concat([PREFACE, SETTINGS, bytes]));
  await peer.until(() => peer.received(FRAME.settings).length > 0);
  peer.destroy();
}

/** Waits until the connection is closed or failing, or has answered all PINGs. */
async function settle(peer: RawPeer): Promise<void> {
  for (let trip = 1; trip <= ROUND_TRIPS; trip++) {
    await peer.write(ping(`trip ${trip}`));
    await peer.until(() => errorOf(peer) !== undefined || answeredPings(peer) >= trip);
    if (peer.isClosed || errorOf(peer) !== undefined) return;
  }
}

function answeredPings(peer: RawPeer): number {
  return peer.received(FRAME.ping).filter(({ payload }) => payload.toString().startsWith('trip ')).length;
}

function errorOf(peer: RawPeer): string | undefined {
  const codes = peer.received(FRAME.goaway).map(({ payload }) => payload.readUInt32BE(4));
  return codes.map((code) => ERROR_CODES[code] ?? String(code)).find((name) => name !== 'NO_ERROR');
}

/** What streams got before a connection error depends on timing, so that it is left out. */
function describeOutcome(peer: RawPeer): string {
  const error = errorOf(peer);
  if (error !== undefined) return `connection error ${error}`;
  const streams = [...describeStreams(peer)].map(([stream, what]) => `${stream}: ${what}`);
  return [...streams, ...(peer.isClosed ? ['closed'] : [])].join(', ') || 'nothing';
}

function describeStreams(peer: RawPeer): Map<number, string> {
  const streams = new Map<number, { fields: Map<string, string>; body: Buffer; reset?: string }>();
  const at = (stream: number) => {
    const known = streams.get(stream) ?? { fields: new Map<string, string>(), body: Buffer.alloc(0) };
    streams.set(stream, known);
    return known;
  };
  const decoder = new HpackDecoder();
  for (const { stream, payload } of peer.received(FRAME.headers)) {
    const { fields } = at(stream);
    const error = decoder.decode(payload, (name, value) => fields.set(name, value));
    if (error !== undefined) throw new Error(`the header block of stream ${stream} is not valid`);
  }
  for (const { stream, payload } of peer.received(FRAME.data)) {
    at(stream).body = Buffer.concat([at(stream).body, payload]);
  }
  for (const { stream, payload } of peer.received(FRAME.rstStream)) {
    at(stream).reset = ERROR_CODES[payload.readUInt32BE()] ?? 'unknown code';
  }
  return new Map(
    [...streams].sort(([one], [other]) => one - other).map(([id, each]) => [id, describe(each)]),
  );
}

function describe({
  fields,
  body,
  reset,
}: {
  fields: Map<string, string>;
  body: Buffer;
  reset?: string;
}): string {
  // With NO_ERROR a server that has answered asks the client to stop sending (RFC 9113 §8.1).
  if (reset !== undefined && reset !== 'NO_ERROR') return `reset ${reset}`;
  const status = fields.get('grpc-status');
  if (status === '0') return `OK ${shorten(body.subarray(5).toString('latin1'))}`;
  if (status !== undefined) return `status ${status}`;
  if (fields.get(':status') !== '200') return `HTTP ${fields.get(':status')}`;
  return 'unfinished';
}

function shorten(text: string): string {
  return text.length <= 20 ? text : `${text.length} bytes`;
}
