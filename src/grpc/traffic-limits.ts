/** Closes HTTP/2 connections that send many frames for few calls: floods, and messages in tiny DATA frames. */
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';

const SWEEP_MS = 1000;
/**
 * What a call may send besides its message: headers, RST_STREAM, WINDOW_UPDATE and frame headers. Generous, because
 * Envoy's `initial_metadata` may hold headers that are too long for the HPACK table.
 */
const CALL_BYTES = 16_384;
/** What a connection may send without calls, such as PINGs, on average and in a burst. */
const SPARE_BYTES_PER_SWEEP = 65_536;
const MAX_SPARE_BYTES = 2 ** 20;

/** A DATA frame below this costs far more CPU than its bytes are worth. */
const SMALL_CHUNK_BYTES = 64;
/** Small DATA frames of a connection: each call adds some, and each second. Most calls send one DATA frame. */
const SMALL_CHUNKS_PER_CALL = 16;
const SMALL_CHUNKS_PER_SWEEP = 256;
const MAX_SMALL_CHUNKS = 2048;

const TRAFFIC = Symbol('traffic');

interface Traffic {
  /** Bytes of messages, and what the calls since the last sweep may send besides. */
  expectedBytes: number;
  /** `bytesRead` at the last sweep. */
  bytesRead: number;
  /** Bytes above those expected. Decreases with time. */
  spareBytes: number;
  /** Decreases with calls and time. */
  smallChunks: number;
  /** One function for all calls of the connection. */
  readonly onData: (chunk: Buffer) => void;
}

export interface TrafficLimits {
  /** Limits a connection; called before its HTTP/2 session is created. Under TLS, it is the decrypted one. */
  watch(socket: Socket): void;
  /** Counts a call, and its message as it arrives; called when the call starts. */
  countCall(stream: ServerHttp2Stream): void;
  stop(): void;
}

/**
 * Node does not expose the number of frames, so this compares bytes: those read from the socket with those of DATA
 * frames and an allowance for each call. A call counts whether or not it is cancelled, so a client that times out on
 * every call is not affected.
 */
export function createTrafficLimits(): TrafficLimits {
  const sockets = new Set<Socket>();

  function sweep(): void {
    for (const socket of sockets) {
      const traffic = trafficOf(socket);
      if (traffic === undefined) continue;
      const { bytesRead } = socket;
      const unexpected = bytesRead - traffic.bytesRead - traffic.expectedBytes;
      traffic.spareBytes = Math.max(0, traffic.spareBytes + unexpected - SPARE_BYTES_PER_SWEEP);
      traffic.bytesRead = bytesRead;
      traffic.expectedBytes = 0;
      traffic.smallChunks = Math.max(0, traffic.smallChunks - SMALL_CHUNKS_PER_SWEEP);
      if (traffic.spareBytes > MAX_SPARE_BYTES) socket.destroy();
    }
  }

  const timer = setInterval(sweep, SWEEP_MS).unref();

  return {
    watch(socket) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      (socket as TrafficSocket)[TRAFFIC] = createTraffic(socket);
    },

    countCall(stream) {
      // The session's `socket` is a proxy, which does not equal the socket but passes its properties on.
      const traffic = stream.session && trafficOf(stream.session.socket as Socket);
      if (traffic === undefined) return;
      traffic.expectedBytes += CALL_BYTES;
      traffic.smallChunks -= SMALL_CHUNKS_PER_CALL;
      // A call that was reset in the packet that opened it emits no `data`.
      if (stream.closed) traffic.expectedBytes += stream.readableLength;
      else stream.on('data', traffic.onData);
    },

    stop: () => clearInterval(timer),
  };
}

type TrafficSocket = Socket & { [TRAFFIC]?: Traffic };

function trafficOf(socket: Socket): Traffic | undefined {
  return (socket as TrafficSocket)[TRAFFIC];
}

function createTraffic(socket: Socket): Traffic {
  const traffic: Traffic = {
    expectedBytes: 0,
    bytesRead: socket.bytesRead,
    spareBytes: 0,
    smallChunks: 0,
    onData({ length }) {
      traffic.expectedBytes += length;
      if (length >= SMALL_CHUNK_BYTES) return;
      traffic.smallChunks++;
      // Not now: node:http2 is reading from the socket.
      if (traffic.smallChunks === MAX_SMALL_CHUNKS) setImmediate(() => socket.destroy());
    },
  };
  return traffic;
}
