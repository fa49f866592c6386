/** Owns one check from the message to the answer: read, decide, count, log, write. */
import { performance } from 'node:perf_hooks';
import {
  type DecryptedTokens,
  type DecryptionKey,
  isEncryptedToken,
  verifyDecryptedToken,
} from './approov/encrypted-token.ts';
import type { HostRule, Keyset } from './approov/keyset.ts';
import { startAttempts, type VerificationAttempts } from './approov/token.ts';
import type { CheckRequest } from './authz/check-request.ts';
import { type Decision, decide, decideUnreadable, type TokenVerifier } from './authz/decide.ts';
import { createDecryptionLimiter, MAX_DECRYPTIONS } from './authz/decryption-limiter.ts';
import type { DeniedResponse } from './authz/denied-response.ts';
import { headersReadUnder } from './authz/headers-read.ts';
import { choosePolicies, type PolicyChoice, type PolicyTable } from './authz/policy.ts';
import { TokenCache } from './authz/token-cache.ts';
import { presentedTokens } from './authz/token-header.ts';
import { decodeCheckRequest } from './envoy/check-codec.ts';
import { encodeCheckResponse } from './envoy/check-response.ts';
import { WireError } from './envoy/wire.ts';
import type { CheckObserver, CheckRecord } from './telemetry/check-observer.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** What checks are judged by; replaced as a whole, so that no check sees half of a change. */
export interface CheckRules {
  readonly policyTable: PolicyTable;
  readonly keyset: Keyset;
  readonly decryptionKeys: readonly DecryptionKey[];
  readonly denied: DeniedResponse;
  readonly tokenCacheEntries: number;
}

export interface Checker {
  /**
   * Answers a CheckRequest message with a CheckResponse message: at once, unless a token has to be decrypted.
   * Never throws or rejects.
   */
  check(message: Buffer, traceparent: string | undefined): Buffer | Promise<Buffer>;
  /** Takes new rules; with other keys the token cache starts empty, so that one that is gone verifies nothing more. */
  replaceRules(rules: CheckRules): void;
}

interface CheckerParts {
  readonly rules: CheckRules;
  /** What counts and logs each check, in this order. */
  readonly observers: readonly CheckObserver[];
  readonly metrics: Pick<Metrics, 'cacheLookedUp'>;
  readonly log: Pick<Log, 'warn' | 'internalError'>;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
  /** A token named a key that we do not have. */
  readonly onUnknownKid: () => void;
}

const NONE_DECRYPTED: DecryptedTokens = new Map();

/** A request, and which policies judge it. */
interface Asked {
  readonly request: CheckRequest;
  readonly choice: PolicyChoice;
}

export function createChecker(parts: CheckerParts): Checker {
  const { observers, metrics, log, nowSeconds, onUnknownKid } = parts;
  const opener = createDecryptionLimiter(() => {
    log.warn({ limit: MAX_DECRYPTIONS }, 'decryption limit reached: checks are answered internal_error');
  });
  let rules = prepare(parts.rules);

  function check(message: Buffer, traceparent: string | undefined): Buffer | Promise<Buffer> {
    const startMs = performance.now();
    const request = readRequest(message);
    const now = nowSeconds();
    if (request === undefined) return answer(undefined, NONE_DECRYPTED, now, startMs, traceparent);
    // Once per check: what it costs to read a path or a host, their sender chooses.
    const asked = { request, choice: choosePolicies(request, rules.policyTable) };
    const encrypted = encryptedToken(asked, now);
    if (encrypted === undefined) return answer(asked, NONE_DECRYPTED, now, startMs, traceparent);
    const rulesBefore = rules;
    return opener.open(encrypted, rules.decryptionKeys).then((opened) =>
      // Keys may have gone meanwhile, and with them the right to have opened anything.
      rules === rulesBefore
        ? answer(asked, new Map([[encrypted, opened]]), nowSeconds(), startMs, traceparent)
        : check(message, traceparent),
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

  /** The first to decrypt: a check decrypts once, and other encrypted tokens of the same request stay not-decrypted. */
  function encryptedToken({ request, choice }: Asked, now: number): string | undefined {
    if (rules.decryptionKeys.length === 0) return undefined;
    return [...presentedTokens(request, choice.policies)].find(
      (token) =>
        isEncryptedToken(token) && rules.cache.get(cacheEntry(token, choice.host ?? ''), now) === undefined,
    );
  }

  function answer(
    asked: Asked | undefined,
    opened: DecryptedTokens,
    now: number,
    startMs: number,
    traceparent: string | undefined,
  ): Buffer {
    const decision = asked === undefined ? decideUnreadable() : judge(asked, opened, now);
    const response = encodeCheckResponse(decision, rules.denied, asked?.request.resultHeaderAliases);
    record({
      request: asked?.request,
      decision,
      traceparent,
      nowSeconds: now,
      durationSeconds: (performance.now() - startMs) / 1000,
    });
    return response;
  }

  /** An observer that fails does not change the answer, and does not keep the others from recording the check. */
  function record(check: CheckRecord): void {
    for (const observer of observers) {
      try {
        observer.checkDone(check);
      } catch (error) {
        log.internalError(error);
      }
    }
  }

  function judge(asked: Asked, opened: DecryptedTokens, now: number): Decision {
    try {
      return decide(asked.request, asked.choice, createVerifier(opened, now), now);
    } catch (error) {
      log.internalError(error);
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
  function createVerifier(opened: DecryptedTokens, now: number): TokenVerifier {
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

  /** An encrypted token is cached by the token inside, so that encrypting that again does not verify it again. */
  function verify(
    token: string,
    host: string,
    opened: DecryptedTokens,
    attempts: VerificationAttempts,
    now: number,
  ): ReturnType<TokenVerifier> {
    const { cache, keyset } = rules;
    const inside = opened.get(token);
    const outer = cacheEntry(token, host);
    const entry = inside?.kind === 'signed' ? cacheEntry(inside.token, host) : outer;
    const cached = cache.get(entry, now);
    metrics.cacheLookedUp(cached === undefined ? 'miss' : 'hit');
    const result = cached ?? verifyDecryptedToken(token, opened, keyset, host, attempts);
    if (typeof result === 'string') {
      if (attempts.sawUnknownKid) onUnknownKid();
      return result;
    }
    if (cached === undefined) cache.add(entry, result, now);
    if (entry !== outer) cache.addEnvelope(outer, entry);
    return result;
  }

  /** Where keys serve some hosts only, what the keys of one host have verified says nothing of another's. */
  function cacheEntry(token: string, host: string): string {
    return rules.hostBoundKeys.length === 0 ? token : `${keysFor(host, rules.hostBoundKeys)} ${token}`;
  }

  function failClosed(error: unknown): Buffer {
    // An exception would reach Envoy as a failure of ours, which `failure_mode_allow` lets in.
    log.internalError(error);
    const decision = decideUnreadable();
    record({
      request: undefined,
      decision,
      traceparent: undefined,
      nowSeconds: nowSeconds(),
      durationSeconds: 0,
    });
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

    replaceRules(next) {
      rules = prepare(next, rules);
    },
  };
}

interface PreparedRules extends CheckRules {
  readonly headerNames: ReadonlySet<string>;
  readonly cache: TokenCache;
  readonly hostBoundKeys: readonly HostRule[];
}

function prepare(rules: CheckRules, before?: PreparedRules): PreparedRules {
  return {
    ...rules,
    headerNames: headersReadUnder(rules.policyTable),
    cache: prepareCache(rules, before),
    hostBoundKeys: rules.keyset.keys
      .map((key) => key.isForHost)
      .filter((isForHost) => isForHost !== undefined),
  };
}

function prepareCache(rules: CheckRules, before: PreparedRules | undefined): TokenCache {
  if (before === undefined || !hasSameKeys(rules, before)) return new TokenCache(rules.tokenCacheEntries);
  before.cache.resize(rules.tokenCacheEntries);
  return before.cache;
}

/** By identity: a source that has not changed keeps its key objects through a reload. */
function hasSameKeys(one: CheckRules, other: CheckRules): boolean {
  const isSame = (keys: readonly object[], others: readonly object[]): boolean =>
    keys.length === others.length && keys.every((key, index) => key === others[index]);
  return isSame(one.keyset.keys, other.keyset.keys) && isSame(one.decryptionKeys, other.decryptionKeys);
}

/** Which of the keys a host has, in as few characters as there are keys: the client chooses the host, and its length. */
function keysFor(host: string, keys: readonly HostRule[]): string {
  return keys.map((isForHost) => (isForHost(host) ? '1' : '0')).join('');
}
