/** A peer that writes raw HTTP/2 frames, valid or not. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** RFC 9113 §6. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const SETTINGS = frame(FRAME.settings, 0, 0);

const MAX_PAYLOAD = 16_384;
export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The header block of a call of Check. */
export function checkHeaders(fields: Readonly<Record<string, string>> = {}): Buffer {
  const all = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': CHECK_PATH,
    ':authority': 'authz',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...fields,
  };
  return Buffer.concat(
    Object.entries(all).flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]),
  );
}

/** The default header block of a call of Check. */
export const CHECK_HEADERS = checkHeaders();

/** An empty gRPC message: a CheckRequest without fields. */
export const EMPTY_MESSAGE = Buffer.alloc(5);

/** A name or value in a header block (RFC 7541 §5.2), without Huffman coding. */
export function literal(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([prefixed(bytes.length), bytes]);
}

/** An integer with a 7-bit prefix (RFC 7541 §5.1). */
function prefixed(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** A header block as one HEADERS frame and as many CONTINUATION frames as it needs. */
export function headersFrames(stream: number, block: Buffer, flags = 0): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < block.length; from += MAX_PAYLOAD) {
    const isLast = from + MAX_PAYLOAD >= block.length;
    const type = from === 0 ? FRAME.headers : FRAME.continuation;
    const own = (from === 0 ? flags : 0) | (isLast ? FLAG.endHeaders : 0);
    parts.push(frame(type, own, stream, block.subarray(from, from + MAX_PAYLOAD)));
  }
  return Buffer.concat(parts);
}

/** Streams opened by a client have odd ids (RFC 9113 §5.1.1). */
export function streamNumber(index: number): number {
  return index * 2 + 1;
}

/** Many frames in one buffer. */
export function times(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawPeer {
  /** Every frame of a type so far. */
  received(type: number): readonly ReceivedFrame[];
  readonly isClosed: boolean;
  /** Writes at the pace of the reader; does nothing on a closed connection. */
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /** Resolves when the peer has closed the connection. */
  readonly closed: Promise<unknown>;
  /** Resolves when a condition on what was received holds, or the connection is closed. */
  until(isMet: () => boolean): Promise<void>;
  /** Stops reading. */
  stopReading(): void;
  destroy(): void;
}

/**
 * @param address host:port.
 * @param allowHalfOpen goes on sending after the other side has ended.
 */
export async function connectRaw(address: string, { allowHalfOpen = false } = {}): Promise<RawPeer> {
  const colon = address.lastIndexOf(':');
  const [host, port] = [address.slice(0, colon), Number(address.slice(colon + 1))];
  const socket: Socket = connect({ host, port, allowHalfOpen });
  socket.setNoDelay();
  const frames = new Map<number, ReceivedFrame[]>();
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      if (rest.length < 9) return;
      const end = 9 + rest.readUIntBE(0, 3);
      if (rest.length < end) return;
      const [type = 0, flags = 0] = rest.subarray(3, 5);
      const stream = rest.readUInt32BE(5) & 0x7fff_ffff;
      const same = frames.get(type) ?? [];
      same.push({ type, flags, stream, payload: rest.subarray(9, end) });
      frames.set(type, same);
      rest = rest.subarray(end);
    }
  });
  let isClosed = false;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  void closed.then(() => {
    isClosed = true;
  });
  await once(socket, 'connect');
  // A reset by the peer is an expected end.
  socket.on('error', () => undefined);
  return {
    received: (type) => frames.get(type) ?? [],
    get isClosed() {
      return isClosed;
    },
    closed,
    async until(isMet) {
      while (!isClosed && !isMet()) {
        await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed]);
      }
    },
    async write(...parts) {
      for (const part of parts) {
        if (isClosed || !socket.writable) return;
        if (socket.write(part)) continue;
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
      }
      // Yields to other work between two floods.
      await sleep(0);
    },
    stopReading: () => void socket.pause(),
    destroy: () => void socket.destroy(),
  };
}
