/** Owns one check from the message to the answer: read, decide, count, log, write. */
import { performance } from 'node:perf_hooks';
import {
  type DecryptionKey,
  isEncryptedToken,
  type OpenedToken,
  type OpenedTokens,
  openToken,
  verifyOpenedToken,
} from './approov/encrypted-token.ts';
import type { HostRule, Keyset } from './approov/keyset.ts';
import { startAttempts, type VerificationAttempts } from './approov/token.ts';
import { type CheckRequest, HEADERS_READ } from './authz/check-request.ts';
import { type Decision, decide, decideUnreadable, type TokenVerifier } from './authz/decide.ts';
import { choosePolicies, type PolicyChoice, type PolicyTable } from './authz/policy.ts';
import { presentedTokens } from './authz/token-header.ts';
import { VerdictCache } from './authz/verdict-cache.ts';
import { decodeCheckRequest, encodeCheckResponse } from './envoy/check-codec.ts';
import type { DeniedResponse } from './envoy/check-response.ts';
import { WireError } from './envoy/wire.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** What checks are judged by; replaced as a whole, so that no check sees half of a change. */
export interface CheckRules {
  readonly policyTable: PolicyTable;
  readonly keyset: Keyset;
  readonly decryptionKeys: readonly DecryptionKey[];
  readonly denied: DeniedResponse;
  readonly verdictCacheEntries: number;
}

export interface Checker {
  /**
   * Answers a CheckRequest message with a CheckResponse message: at once, unless a token has to be decrypted.
   * Never throws or rejects.
   */
  check(message: Buffer, traceparent: string | undefined): Buffer | Promise<Buffer>;
  /** Takes new rules; the verdict cache starts empty, so that a key that is gone verifies nothing more. */
  use(rules: CheckRules): void;
}

interface CheckerParts {
  readonly rules: CheckRules;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
  /** A token named a key that we do not have. */
  readonly onUnknownKid: () => void;
}

const NONE_OPENED: OpenedTokens = new Map();

/** A request, and which policies judge it. */
interface Asked {
  readonly request: CheckRequest;
  readonly choice: PolicyChoice;
}

export function createChecker(parts: CheckerParts): Checker {
  const { metrics, log, nowSeconds, onUnknownKid } = parts;
  let rules = prepare(parts.rules);

  function check(message: Buffer, traceparent: string | undefined): Buffer | Promise<Buffer> {
    const startMs = performance.now();
    const request = readRequest(message);
    if (request === undefined) return answer(undefined, NONE_OPENED, startMs, traceparent);
    // Once per check: what it costs to read a path or a host, their sender chooses.
    const asked = { request, choice: choosePolicies(request, rules.policyTable) };
    const encrypted = encryptedTokens(asked);
    if (encrypted.length === 0) return answer(asked, NONE_OPENED, startMs, traceparent);
    const rulesBefore = rules;
    return openAll(encrypted, rules.decryptionKeys).then((opened) =>
      // Keys may have gone meanwhile, and with them the right to have opened anything.
      rules === rulesBefore ? answer(asked, opened, startMs, traceparent) : check(message, traceparent),
    );
  }

  function readRequest(message: Buffer): CheckRequest | undefined {
    try {
      return decodeCheckRequest(message, rules.headerNames);
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  function encryptedTokens({ request, choice }: Asked): readonly string[] {
    if (rules.decryptionKeys.length === 0) return [];
    const now = nowSeconds();
    return [...presentedTokens(request, choice.policies)].filter(
      (token) =>
        isEncryptedToken(token) && rules.cache.get(cacheEntry(token, choice.host ?? ''), now) === undefined,
    );
  }

  function answer(
    asked: Asked | undefined,
    opened: OpenedTokens,
    startMs: number,
    traceparent: string | undefined,
  ): Buffer {
    const now = nowSeconds();
    const decision = asked === undefined ? decideUnreadable() : judge(asked, opened, now);
    const response = encodeCheckResponse(decision, rules.denied);
    record(asked?.request, decision, traceparent, now, startMs);
    return response;
  }

  /** The answer stands, whatever happens to what is told of it. */
  function record(
    request: CheckRequest | undefined,
    decision: Decision,
    traceparent: string | undefined,
    now: number,
    startMs: number,
  ): void {
    try {
      metrics.checkDecided(decision, now, (performance.now() - startMs) / 1000);
      log.check(request, decision, traceparent);
    } catch (error) {
      log.fault(error);
    }
  }

  function judge(asked: Asked, opened: OpenedTokens, now: number): Decision {
    try {
      return decide(asked.request, asked.choice, createVerifier(opened, now), now);
    } catch (error) {
      log.fault(error);
      return decideFault(asked, now);
    }
  }

  /** After a bug in verifying, the policy still says what a fault means; after any other, nothing is known. */
  function decideFault({ request, choice }: Asked, now: number): Decision {
    try {
      return decide(request, choice, () => 'internal_error', now);
    } catch {
      return decideUnreadable();
    }
  }

  /** Looks a token up once per check, however many policies judge an ambiguous request. */
  function createVerifier(opened: OpenedTokens, now: number): TokenVerifier {
    const results = new Map<string, ReturnType<TokenVerifier>>();
    const attempts = startAttempts();
    return (token, host) => {
      const known = results.get(token);
      if (known !== undefined) return known;
      const result = verify(token, host, opened, attempts, now);
      results.set(token, result);
      return result;
    };
  }

  function verify(
    token: string,
    host: string,
    opened: OpenedTokens,
    attempts: VerificationAttempts,
    now: number,
  ): ReturnType<TokenVerifier> {
    const { cache, keyset } = rules;
    const entry = cacheEntry(token, host);
    const cached = cache.get(entry, now);
    metrics.cacheLookedUp(cached === undefined ? 'miss' : 'hit');
    if (cached !== undefined) return cached;
    const result = verifyOpenedToken(token, opened, keyset, host, attempts);
    if (typeof result !== 'string') cache.add(entry, result, now);
    else if (attempts.sawUnknownKid) onUnknownKid();
    return result;
  }

  /** Where keys serve some hosts only, what the keys of one host have verified says nothing of another's. */
  function cacheEntry(token: string, host: string): string {
    return rules.hostBoundKeys.length === 0 ? token : `${keysFor(host, rules.hostBoundKeys)} ${token}`;
  }

  function failClosed(error: unknown): Buffer {
    // An exception would reach Envoy as a failure of ours, which `failure_mode_allow` lets in.
    log.fault(error);
    const decision = decideUnreadable();
    record(undefined, decision, undefined, nowSeconds(), performance.now());
    return encodeCheckResponse(decision, rules.denied);
  }

  return {
    check(message, traceparent) {
      try {
        const answered = check(message, traceparent);
        return answered instanceof Promise ? answered.catch(failClosed) : answered;
      } catch (error) {
        return failClosed(error);
      }
    },

    use(next) {
      rules = prepare(next);
    },
  };
}

interface PreparedRules extends CheckRules {
  readonly headerNames: ReadonlySet<string>;
  readonly cache: VerdictCache;
  readonly hostBoundKeys: readonly HostRule[];
}

function prepare(rules: CheckRules): PreparedRules {
  return {
    ...rules,
    headerNames: headersReadUnder(rules.policyTable),
    cache: new VerdictCache(rules.verdictCacheEntries),
    hostBoundKeys: rules.keyset.keys
      .map((key) => key.isForHost)
      .filter((isForHost) => isForHost !== undefined),
  };
}

/** Which of the keys a host has, in as few characters as there are keys: the client chooses the host, and its length. */
function keysFor(host: string, keys: readonly HostRule[]): string {
  return keys.map((isForHost) => (isForHost(host) ? '1' : '0')).join('');
}

async function openAll(tokens: readonly string[], keys: readonly DecryptionKey[]): Promise<OpenedTokens> {
  const opened = new Map<string, OpenedToken>();
  for (const token of tokens) opened.set(token, await openToken(token, keys));
  return opened;
}

/** Every header that a check may look at: the ones that Envoy's `allowed_headers` must list. */
export function headersReadUnder(table: PolicyTable): ReadonlySet<string> {
  const names = new Set<string>(Object.values(HEADERS_READ));
  for (const { tokenHeader, binding } of table.policies.values()) {
    names.add(tokenHeader);
    for (const header of binding?.headers ?? []) names.add(header);
  }
  return names;
}
