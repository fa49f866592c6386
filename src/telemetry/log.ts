/** Writes the log: lines on stdout, rate-limited for checks, without tokens, secrets or bound headers. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationStream, pino, stdTimeFunctions } from 'pino';
import { type CheckRequest, HEADERS_READ, headerValues } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';
import type { Policy, PolicyTable } from '../authz/policy.ts';
import type { Reason } from '../authz/reason.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import type { CheckRecord } from './check-observer.ts';
import { describeSteps } from './check-steps.ts';
import { formatJson, type LineFormat } from './line-format.ts';
import { LineLimiter } from './line-limiter.ts';
import { describeSignature } from './message-description.ts';
import { clip } from './printable.ts';

/** Buffered while the reader of stdout stalls; lines beyond it are dropped, as checks must not wait for the log. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/** How long {@link Log.close} waits for the reader of stdout. */
const MAX_FLUSH_MS = 1000;

export type Log = ReturnType<typeof createLog>;

interface LogSettings {
  readonly level: string;
  readonly checks: 'none' | 'failures' | 'all';
}

interface LogOptions {
  readonly settings: LogSettings;
  /** JSON unless given. */
  readonly formatLine?: LineFormat;
  /** Stdout unless given. */
  readonly destination?: DestinationStream;
  /** Whether to warn about policies that do not enforce (default: yes); a worker leaves that to the primary. */
  readonly warnsAboutModes?: boolean;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly onSuppressed: (reason: Reason, count: number) => void;
}

export function createLog(options: LogOptions) {
  const { settings, formatLine = formatJson, destination, warnsAboutModes = true } = options;
  const { nowMs, onSuppressed } = options;
  const stdout = destination === undefined ? openStdout() : undefined;
  const logger = pino(
    {
      level: settings.level,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: formatLine },
    },
    destination ?? stdout,
  );
  const limiter = new LineLimiter<Reason>(nowMs, (reason, count) => {
    onSuppressed(reason, count);
    logger[levelOf(reason)]({ reason, suppressed: count }, 'check log lines suppressed');
  });
  let { checks } = settings;
  let isDebug = logger.isLevelEnabled('debug');
  let hiddenHeaders: ReadonlySet<string> = new Set();
  let configuredTable: PolicyTable | undefined;

  /** Not limited in number: the level asks for every check. */
  function logSteps(record: CheckRecord): void {
    const steps = describeSteps(record, configuredTable);
    logger.debug({ ...checkFields(record, hiddenHeaders), ...steps }, 'check steps');
  }

  function warnAboutMode({ name, mode, enforcePercent = 100 }: Policy): void {
    if (mode !== 'enforce') logger.warn({ policy: name, mode }, 'policy does not enforce');
    else if (enforcePercent < 100)
      logger.warn(
        { policy: name, mode, enforce_percent: enforcePercent },
        enforcePercent === 0 ? 'policy enforces no device' : 'policy enforces a share of devices',
      );
  }

  return {
    // Looked up on each call: pino replaces these methods when the level changes.
    debug: (fields: object, message: string) => logger.debug(fields, message),
    info: (fields: object, message: string) => logger.info(fields, message),
    warn: (fields: object, message: string) => logger.warn(fields, message),
    error: (fields: object, message: string) => logger.error(fields, message),

    /** Reports a bug: the stack without the message, which may quote a request. */
    internalError(error: unknown): void {
      logger.error(internalErrorFields(error), 'internal error');
    },

    /** Reports that a listener failed to accept a connection. */
    listenerError(error: Error): void {
      logger.error({ error: error.message }, 'listener error');
    },

    /** Sets the level, hides the headers of tokens and bindings, and warns about new policies that do not enforce. */
    configure(table: PolicyTable, next: LogSettings): void {
      logger.level = next.level;
      isDebug = logger.isLevelEnabled('debug');
      checks = next.checks;
      hiddenHeaders = sensitiveHeaders(table);
      if (table === configuredTable) return;
      configuredTable = table;
      for (const policy of warnsAboutModes ? table.policies.values() : []) warnAboutMode(policy);
    },

    /** Writes the line of a check, if `log.checks` and the level ask for one, and at level debug one with its steps. */
    checkDone(record: CheckRecord): void {
      const { decision } = record;
      if (isDebug) logSteps(record);
      const isFailure = decision.verdict === 'unverified';
      if (checks === 'none' || (checks === 'failures' && !isFailure)) return;
      const level = levelOf(decision.reason);
      // A line below the level does not count as suppressed.
      if (!logger.isLevelEnabled(level) || !limiter.allows(decision.reason)) return;
      logger[level](checkFields(record, hiddenHeaders), isFailure ? 'check failed' : 'check passed');
    },

    /** Reports suppressed lines and flushes; gives up after 1 s if the reader of stdout has stalled. */
    async close(): Promise<void> {
      limiter.close();
      if (stdout !== undefined) await flush(stdout);
    },
  };
}

/** The level of check lines with this reason, and of their summary. */
function levelOf(reason: Reason): 'error' | 'info' {
  return reason === 'internal_error' ? 'error' : 'info';
}

function internalErrorFields(error: unknown): object {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error();
  const frames = stack
    .replace(message, '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
  return { error: name, stack: frames.map((line) => line.trim()) };
}

/** Headers that carry tokens or that tokens are bound to. */
function sensitiveHeaders({ policies }: PolicyTable): ReadonlySet<string> {
  return new Set(
    [...policies.values()].flatMap(({ tokenHeader, binding }) => [tokenHeader, ...(binding?.headers ?? [])]),
  );
}

function openStdout() {
  const stdout = pino.destination({ dest: 1, sync: false, maxLength: MAX_BUFFERED_BYTES });
  // A full disk or a closed pipe must not end the service: the lines are lost.
  stdout.on('error', () => undefined);
  return stdout;
}

async function flush(stdout: ReturnType<typeof openStdout>): Promise<void> {
  const closed = new Promise((resolve) => stdout.once('close', resolve));
  stdout.end();
  await Promise.race([closed, sleep(MAX_FLUSH_MS)]);
  // Otherwise pino would flush synchronously at exit, and block on a stalled reader.
  stdout.destroy();
}

function checkFields(
  { request, decision, traceparent }: CheckRecord,
  hiddenHeaders: ReadonlySet<string>,
): Record<string, unknown> {
  return {
    ...decisionFields(decision),
    ...requestFields(request, hiddenHeaders),
    trace_id: traceId(traceparent),
  };
}

function decisionFields(decision: Decision): Record<string, unknown> {
  const { reason, policy, mode, action, verdict, verifiedToken, presentedToken, sdkStatus, ambiguous } =
    decision;
  const isTrusted = verifiedToken !== undefined;
  return {
    reason,
    policy: policy?.name ?? UNKNOWN,
    mode,
    action,
    would_deny: verdict === 'unverified',
    ambiguous,
    sdk_status: sdkStatus,
    expired_seconds: secondsOutside(decision),
    ...signatureFields(decision),
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

/** Never a signature, or what was signed. */
function signatureFields({ messageSignature }: Decision): Record<string, unknown> {
  if (messageSignature === undefined || messageSignature.kind === 'not_required') return {};
  const { label, problem, digest } = describeSignature(messageSignature);
  return { signature_label: label, signature_problem: problem, content_digest: digest };
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
    host: clipped(withoutUserinfo(request.host)),
    path: clipped(withoutUserinfo(request.path.replace(/[?#].*$/s, ''))),
    source_address: clipped(request.sourceAddress),
    'x-envoy-external-address': header(HEADERS_READ.externalAddress),
    user_agent: header(HEADERS_READ.userAgent),
    'x-request-id': header(HEADERS_READ.requestId),
    approov_trace_id: header(HEADERS_READ.approovTraceId) || undefined,
  };
}

/** How long ago an expired token expired, or how long until a token is valid, in seconds to one decimal. */
function secondsOutside({ reason, facts }: Decision): number | undefined {
  if (reason !== 'token_expired' && reason !== 'token_not_yet_valid') return undefined;
  const { exp, nbf, nowSeconds = 0 } = facts.lifetime ?? {};
  const bound = reason === 'token_expired' ? exp : nbf;
  if (typeof bound !== 'number') return undefined;
  const rounded = Math.round(Math.abs(nowSeconds - bound) * 10) / 10;
  return Number.isFinite(rounded) ? rounded : undefined;
}

/** Of a host, or of a target in absolute form: a client may send a password there (RFC 3986 §3.2.1). */
function withoutUserinfo(text: string): string {
  return text.startsWith('/') ? text : text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1');
}

/** The trace id of a W3C Trace Context `traceparent`. */
function traceId(traceparent: string | undefined): string | undefined {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? '')?.[1];
}

function clipped(value: unknown): string | undefined {
  return typeof value === 'string' ? clip(value) : undefined;
}
