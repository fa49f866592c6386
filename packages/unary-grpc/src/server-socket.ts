/** One socket of the server: reads, writes in batches, and closes it when it is silent, stalled or done. */
import type { Socket } from 'node:net';
import { Calls } from './grpc/calls.ts';
import { VIOLATION } from './http2/violations.ts';
import {
  LARGE_READ_BYTES,
  LINGER_MS,
  MAX_DELAY_MS,
  MESSAGE_TIMEOUT_MS,
  PREFACE_TIMEOUT_MS,
  SETTINGS_ACK_TIMEOUT_MS,
  SHUTDOWN_PING_TIMEOUT_MS,
  STALLED_WRITE_TIMEOUT_MS,
  TICK_MS,
} from './limits.ts';
import type { ServerSettings } from './options.ts';

function ticks(milliseconds: number): number {
  return Math.ceil(milliseconds / TICK_MS);
}

const TICKS = {
  preface: ticks(PREFACE_TIMEOUT_MS),
  settingsAck: ticks(SETTINGS_ACK_TIMEOUT_MS),
  message: ticks(MESSAGE_TIMEOUT_MS),
  stalledWrite: ticks(STALLED_WRITE_TIMEOUT_MS),
  linger: ticks(LINGER_MS),
  shutdownPing: ticks(SHUTDOWN_PING_TIMEOUT_MS),
};

export class ServerSocket {
  readonly #socket: Socket;
  readonly #settings: ServerSettings;
  readonly #calls: Calls;
  /** Writes to a TLS socket always complete later, others mostly immediately. */
  readonly #onWritten: (() => void) | undefined;
  /** Time is counted in ticks, so that nothing times out because the process stalled. */
  #ticks = 0;
  #lastReadAt = 0;
  #headerBlockSince = 0;
  #prefaceAt = 0;
  #stalledSince = 0;
  #shutdownAt = Number.POSITIVE_INFINITY;
  #closedAt = Number.POSITIVE_INFINITY;
  readonly #goAwayAt: number;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #deadlineAtMs = Number.POSITIVE_INFINITY;
  #isFlushDue = false;

  constructor(socket: Socket, settings: ServerSettings, onClosed: () => void) {
    this.#socket = socket;
    this.#settings = settings;
    this.#calls = new Calls(settings, settings, () => this.#flushSoon());
    this.#onWritten = 'encrypted' in socket ? () => this.#recycleOutput() : undefined;
    // ±10 %, so that connections that were opened together do not all end together.
    this.#goAwayAt = ticks(settings.maxConnectionAgeMs * (0.9 + Math.random() * 0.2));
    socket
      .on('data', (bytes: Buffer) => this.#receive(bytes))
      .on('drain', () => this.#socket.resume())
      // A socket that fails is closed as well.
      .on('error', () => undefined)
      .once('close', () => {
        clearTimeout(this.#deadlineTimer);
        try {
          this.#calls.connection.abandon();
        } finally {
          onClosed();
        }
      });
    this.#flush();
  }

  shutDown(): void {
    // A GOAWAY must not follow one that names the last stream (§6.8).
    if (this.#isClosed) return;
    this.#calls.connection.shutDown();
    this.#flush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#lastReadAt = this.#ticks;
    if (this.#isClosed) return;
    this.#calls.receive(bytes, Date.now());
    this.#flush();
    if (this.#calls.earliestDeadlineMs < this.#deadlineAtMs) this.#scheduleDeadline();
    if (bytes.length >= LARGE_READ_BYTES) this.#yield();
  }

  /** Lets the other sockets of this turn of the event loop be read. */
  #yield(): void {
    const socket = this.#socket;
    socket.pause();
    setImmediate(() => {
      if (socket.writableLength < socket.writableHighWaterMark) socket.resume();
    });
  }

  /** Writes everything in one call, and stops reading while the peer does not read. */
  #flush(): void {
    const socket = this.#socket;
    // A write that waits keeps its buffer, which is far larger than most responses.
    const output =
      socket.writableLength > 0
        ? this.#calls.connection.takeOutputCopy()
        : this.#calls.connection.takeOutput();
    if (output !== undefined && !socket.destroyed) {
      socket.write(output, this.#onWritten);
      this.#recycleOutput();
      if (socket.writableLength >= socket.writableHighWaterMark) socket.pause();
    }
    const { error, isFinished } = this.#calls.connection;
    if (error !== undefined || isFinished) this.#close();
  }

  #recycleOutput(): void {
    if (this.#socket.writableLength === 0) this.#calls.connection.recycleOutput();
  }

  /** Responses of one turn of the event loop share a write. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    process.nextTick(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  get #isClosed(): boolean {
    return this.#closedAt !== Number.POSITIVE_INFINITY;
  }

  /** What the peer still sends is read and dropped: closing with unread bytes would discard our last responses. */
  #close(): void {
    if (this.#isClosed) return;
    this.#closedAt = this.#ticks;
    const { error } = this.#calls.connection;
    if (error !== undefined) this.#settings.onConnectionError(error.reason);
    this.#socket.resume();
    this.#socket.end();
  }

  #scheduleDeadline(): void {
    clearTimeout(this.#deadlineTimer);
    this.#deadlineAtMs = this.#calls.earliestDeadlineMs;
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(1, this.#deadlineAtMs - Date.now()));
    this.#deadlineTimer = setTimeout(() => {
      this.#deadlineAtMs = Number.POSITIVE_INFINITY;
      this.#calls.expire(Date.now());
      this.#flush();
      if (this.#calls.earliestDeadlineMs !== Number.POSITIVE_INFINITY) this.#scheduleDeadline();
    }, delayMs);
  }

  tick(): void {
    this.#ticks++;
    if (this.#isOverdue()) {
      this.destroy();
      return;
    }
    if (this.#isClosed) return;
    const { connection } = this.#calls;
    if (connection.hasPreface && this.#prefaceAt === 0) this.#prefaceAt = this.#ticks;
    this.#tickCalls();
    this.#flush();
  }

  #tickCalls(): void {
    const { connection } = this.#calls;
    const now = this.#ticks;
    this.#calls.tick(TICKS.message);
    connection.tick(TICKS.stalledWrite);
    if (now >= this.#goAwayAt) connection.shutDown();
    // It also begins when stream ids run out.
    if (connection.isShuttingDown) this.#shutdownAt = Math.min(this.#shutdownAt, now);
    if (now - this.#shutdownAt >= TICKS.shutdownPing) connection.refuseStreams();
    if (now - this.#lastReadAt === ticks(this.#settings.keepaliveIntervalMs)) connection.ping();
    const isUnacknowledged = connection.hasPreface && !connection.isAcknowledged;
    if (isUnacknowledged && now - this.#prefaceAt > TICKS.settingsAck)
      connection.fail(VIOLATION.settingsTimeout);
  }

  /** Whether to destroy the socket without a GOAWAY, which the peer would not read. */
  #isOverdue(): boolean {
    const { connection } = this.#calls;
    const { keepaliveIntervalMs, keepaliveTimeoutMs, maxConnectionAgeGraceMs } = this.#settings;
    const now = this.#ticks;
    if (!this.#socket.isPaused()) this.#stalledSince = now;
    if (!connection.isInHeaderBlock) this.#headerBlockSince = now;
    const isSending = connection.error === undefined && this.#socket.writableLength > 0;
    return (
      now - this.#closedAt > (isSending ? TICKS.stalledWrite : TICKS.linger) ||
      now - this.#stalledSince > TICKS.stalledWrite ||
      now - this.#headerBlockSince > TICKS.preface ||
      (!connection.hasPreface && now > TICKS.preface) ||
      now - this.#lastReadAt > ticks(keepaliveIntervalMs) + ticks(keepaliveTimeoutMs) ||
      now - this.#goAwayAt > ticks(maxConnectionAgeGraceMs)
    );
  }
}
