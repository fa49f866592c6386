/** Owns the log: JSON lines on stdout, at most so many a second for checks, and nothing in them that opens the API. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationStream, pino } from 'pino';
import { type CheckRequest, HEADERS_READ, headerValues } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';
import type { PolicyTable } from '../authz/policy.ts';
import type { Reason } from '../authz/reason.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import type { CheckRecord } from './check-observer.ts';
import { clip, escapeUnprintable } from './printable.ts';

/** Lines a second per reason. */
const MAX_LINES_PER_SECOND = 20;
/** What waits to be written if the reader of stdout stalls; beyond it lines are dropped, since checks must not wait. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

const MAX_FLUSH_MS = 1000;

export type Log = ReturnType<typeof createLog>;

interface LogSettings {
  readonly level: string;
  readonly checks: 'none' | 'failures' | 'all';
}

interface LogOptions {
  readonly settings: LogSettings;
  readonly destination?: DestinationStream;
  /** Whether the policies that do not enforce are named; a worker leaves that to its primary. */
  readonly namesModes?: boolean;
  /** Milliseconds of any clock that does not go back. */
  readonly nowMs: () => number;
  readonly onSuppressed: (reason: Reason, count: number) => void;
}

export function createLog(options: LogOptions) {
  const { settings, destination, namesModes = true, nowMs, onSuppressed } = options;
  const stdout = destination === undefined ? openStdout() : undefined;
  // pino escapes what JSON demands, which is C0 alone.
  const streamWrite = (line: string): string => `${escapeUnprintable(line.trimEnd())}\n`;
  const logger = pino({ level: settings.level, hooks: { streamWrite } }, destination ?? stdout);
  const limiter = new LineLimiter(nowMs, (reason, count) => {
    onSuppressed(reason, count);
    logger[levelOf(reason)]({ reason, suppressed: count }, 'lines of checks suppressed');
  });
  let { checks } = settings;
  let hiddenHeaders: ReadonlySet<string> = new Set();

  return {
    // Not bound once: with another level pino puts other methods in their place.
    info: (fields: object, message: string) => logger.info(fields, message),
    warn: (fields: object, message: string) => logger.warn(fields, message),
    error: (fields: object, message: string) => logger.error(fields, message),

    /** A bug of ours: where it happened, but not its message, which may quote a request. */
    fault(error: unknown): void {
      const { name, message, stack = '' } = error instanceof Error ? error : new Error();
      const frames = stack
        .replace(message, '')
        .split('\n')
        .filter((line) => /^\s+at /.test(line));
      logger.error({ error: name, stack: frames.map((line) => line.trim()) }, 'fault');
    },

    /** A listener could not accept a connection. */
    notAccepted(error: Error): void {
      logger.error({ error: error.message }, 'connection not accepted');
    },

    /** Names what is not enforced, and hides the headers that tokens stand in or are bound to. */
    configure(table: PolicyTable, next: LogSettings): void {
      logger.level = next.level;
      checks = next.checks;
      hiddenHeaders = new Set(
        [...table.policies.values()].flatMap(({ tokenHeader, binding }) => [
          tokenHeader,
          ...(binding?.headers ?? []),
        ]),
      );
      for (const { name, mode } of namesModes ? table.policies.values() : []) {
        if (mode !== 'enforce') logger.warn({ policy: name, mode }, 'policy does not enforce');
      }
    },

    /** One line for a check, if the settings want one. */
    checkDone({ request, decision, traceparent }: CheckRecord): void {
      const isFailure = decision.verdict === 'unverified';
      if (checks === 'none' || (checks === 'failures' && !isFailure)) return;
      const level = levelOf(decision.reason);
      // A line that is not wanted is not suppressed either.
      if (!logger.isLevelEnabled(level) || !limiter.admits(decision.reason)) return;
      logger[level](
        {
          ...decisionFields(decision),
          ...requestFields(request, hiddenHeaders),
          trace_id: traceId(traceparent),
        },
        isFailure ? 'check failed' : 'check passed',
      );
    },

    /** Sums up what was suppressed and writes what is buffered, unless the reader of stdout has stalled. */
    async close(): Promise<void> {
      limiter.close();
      if (stdout === undefined) return;
      const ended = new Promise((resolve) => stdout.once('close', resolve));
      stdout.end();
      await Promise.race([ended, sleep(MAX_FLUSH_MS)]);
      // Else pino would write the rest at the exit, and wait for a reader that does not read.
      stdout.destroy();
    },
  };
}

/** Of the lines of checks with a reason, and of what sums them up. */
function levelOf(reason: Reason): 'error' | 'info' {
  return reason === 'internal_error' ? 'error' : 'info';
}

function openStdout() {
  const stdout = pino.destination({ dest: 1, sync: false, maxLength: MAX_BUFFERED_BYTES });
  // A full disk or a closed pipe must not end the service; what cannot be written is lost.
  stdout.on('error', () => undefined);
  return stdout;
}

function decisionFields(decision: Decision): Record<string, unknown> {
  const { reason, policy, mode, action, verdict, verifiedToken, presentedToken, ambiguous } = decision;
  const isTrusted = verifiedToken !== undefined;
  return {
    reason,
    policy: policy?.name ?? UNKNOWN,
    mode,
    action,
    would_deny: verdict === 'unverified',
    ambiguous,
    key_id: verifiedToken?.keyId,
    alg: clipped(presentedToken?.header?.['alg']),
    kid: clipped(presentedToken?.header?.['kid']),
    token_fingerprint:
      presentedToken && createHash('sha256').update(presentedToken.text, 'latin1').digest('hex').slice(0, 12),
    unverified_arc: isTrusted ? undefined : clipped(presentedToken?.claims?.['arc']),
    unverified_did: isTrusted ? undefined : clipped(presentedToken?.claims?.['did']),
    arc: clipped(verifiedToken?.claims['arc']),
    did: clipped(verifiedToken?.claims['did']),
  };
}

function requestFields(
  request: CheckRequest | undefined,
  hiddenHeaders: ReadonlySet<string>,
): Record<string, unknown> {
  if (request === undefined) return {};
  const header = (name: string): string | undefined =>
    hiddenHeaders.has(name) ? undefined : clipped(headerValues(request, name)[0]?.toString());
  return {
    method: clipped(request.method),
    host: clipped(request.host),
    path: clipped(request.path.replace(/[?#].*$/s, '')),
    source_address: clipped(request.sourceAddress),
    'x-envoy-external-address': header(HEADERS_READ.externalAddress),
    user_agent: header(HEADERS_READ.userAgent),
    'x-request-id': header(HEADERS_READ.requestId),
  };
}

/** The trace id of a W3C Trace Context `traceparent`. */
function traceId(traceparent: string | undefined): string | undefined {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? '')?.[1];
}

function clipped(value: unknown): string | undefined {
  return typeof value === 'string' ? clip(value) : undefined;
}

/** Lets so many lines a second of each reason through, and sums up the rest once the second is over. */
class LineLimiter {
  readonly #nowMs: () => number;
  readonly #onSuppressed: (reason: Reason, count: number) => void;
  readonly #lines = new Map<Reason, number>();
  readonly #timer: NodeJS.Timeout;
  #secondStartMs: number;

  constructor(nowMs: () => number, onSuppressed: (reason: Reason, count: number) => void) {
    this.#nowMs = nowMs;
    this.#onSuppressed = onSuppressed;
    this.#secondStartMs = nowMs();
    this.#timer = setInterval(() => this.#rollOver(), 1000).unref();
  }

  admits(reason: Reason): boolean {
    this.#rollOver();
    const count = (this.#lines.get(reason) ?? 0) + 1;
    this.#lines.set(reason, count);
    return count <= MAX_LINES_PER_SECOND;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#sumUp();
  }

  #rollOver(): void {
    if (this.#nowMs() - this.#secondStartMs < 1000) return;
    this.#secondStartMs = this.#nowMs();
    this.#sumUp();
  }

  #sumUp(): void {
    for (const [reason, count] of this.#lines) {
      if (count > MAX_LINES_PER_SECOND) this.#onSuppressed(reason, count - MAX_LINES_PER_SECOND);
    }
    this.#lines.clear();
  }
}
