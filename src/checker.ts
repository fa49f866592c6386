/** Owns one check from the message to the answer: read, decide, count, log, write. */
import { performance } from 'node:perf_hooks';
import type { Keyset } from './approov/keyset.ts';
import { verifyToken } from './approov/token.ts';
import { type CheckRequest, HEADERS_READ } from './authz/check-request.ts';
import { type Decision, decide, decideUnreadable, type TokenVerifier } from './authz/decide.ts';
import type { PolicyTable } from './authz/policy.ts';
import { VerdictCache } from './authz/verdict-cache.ts';
import { type DeniedResponse, decodeCheckRequest, encodeCheckResponse } from './envoy/check-codec.ts';
import { WireError } from './envoy/wire.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** What checks are judged by; replaced as a whole, so that no check sees half of a change. */
export interface CheckRules {
  readonly policyTable: PolicyTable;
  readonly keyset: Keyset;
  readonly denied: DeniedResponse;
  readonly verdictCacheEntries: number;
}

export interface Checker {
  /** Answers a CheckRequest message with a CheckResponse message; never throws. */
  check(message: Buffer, traceparent: string | undefined): Buffer;
  /** Takes new rules; the verdict cache starts empty, so that a key that is gone verifies nothing more. */
  use(rules: CheckRules): void;
}

interface CheckerParts {
  readonly rules: CheckRules;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
}

export function createChecker({ rules: initialRules, metrics, log, nowSeconds }: CheckerParts): Checker {
  let rules = initialRules;
  let headerNames = headersReadUnder(rules.policyTable);
  let cache = new VerdictCache(rules.verdictCacheEntries);

  /** Looks a token up once per check, however many policies an odd path has judge it. */
  function createVerifier(now: number): TokenVerifier {
    const results = new Map<string, ReturnType<TokenVerifier>>();
    return (token) => {
      const known = results.get(token);
      if (known !== undefined) return known;
      const result = verify(token, now);
      results.set(token, result);
      return result;
    };
  }

  function verify(token: string, now: number): ReturnType<TokenVerifier> {
    const cached = cache.get(token, now);
    metrics.cacheLookedUp(cached === undefined ? 'miss' : 'hit');
    if (cached !== undefined) return cached;
    const result = verifyToken(token, rules.keyset);
    if (typeof result !== 'string') cache.add(token, result, now);
    return result;
  }

  function readRequest(message: Buffer): CheckRequest | undefined {
    try {
      return decodeCheckRequest(message, headerNames);
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  function judge(request: CheckRequest, now: number): Decision {
    try {
      return decide(request, rules.policyTable, createVerifier(now), now);
    } catch (error) {
      log.fault(error);
      return decideFault(request, now);
    }
  }

  /** After a bug in verifying, the policy still says what a fault means; after any other, nothing is known. */
  function decideFault(request: CheckRequest, now: number): Decision {
    try {
      return decide(request, rules.policyTable, () => 'internal_error', now);
    } catch {
      return decideUnreadable();
    }
  }

  function answer(message: Buffer, traceparent: string | undefined): Buffer {
    const startMs = performance.now();
    const now = nowSeconds();
    const request = readRequest(message);
    const decision = request === undefined ? decideUnreadable() : judge(request, now);
    const response = encodeCheckResponse(decision, rules.denied);
    log.check(request, decision, traceparent);
    metrics.checkDecided(decision, now, (performance.now() - startMs) / 1000);
    return response;
  }

  return {
    check(message, traceparent) {
      try {
        return answer(message, traceparent);
      } catch (error) {
        // An exception would reach Envoy as a failure of ours, which `failure_mode_allow` lets in.
        log.fault(error);
        return encodeCheckResponse(decideUnreadable(), rules.denied);
      }
    },

    use(next) {
      rules = next;
      headerNames = headersReadUnder(next.policyTable);
      cache = new VerdictCache(next.verdictCacheEntries);
    },
  };
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
