/** Answers one Check: decodes the request, evaluates it, encodes the response and records the outcome. */
import { performance } from 'node:perf_hooks';
import { rejectToken } from './approov/token.ts';
import { NO_REPLAY_GUARD, recordOnce, refusesReplays } from './authz/check-replay.ts';
import type { CheckRequest } from './authz/check-request.ts';
import { type Decision, decide, decideUnreadable } from './authz/decide.ts';
import { createDecryptionLimiter, MAX_DECRYPTIONS } from './authz/decryption-limiter.ts';
import type { DeniedResponse } from './authz/denied-response.ts';
import { type EvaluationRules, evaluate } from './authz/evaluate.ts';
import { headersDecodedUnder } from './authz/headers-read.ts';
import { choosePolicies, type PolicyTable } from './authz/policy.ts';
import type { ReplayGuard } from './authz/replay.ts';
import type { CheckVerifier } from './authz/steps.ts';
import { TokenVerifier, type VerificationEvents, type VerificationKeys } from './authz/token-verifier.ts';
import { decodeCheckRequest } from './envoy/check-request-decoder.ts';
import { encodeCheckResponse } from './envoy/check-response-encoder.ts';
import { WireError } from './envoy/wire.ts';
import type { CheckObserver, CheckRecord } from './telemetry/check-observer.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** The configuration and keys of checks; replaced as a whole, so that no check sees half of a change. */
export interface CheckRules extends VerificationKeys {
  readonly policyTable: PolicyTable;
  readonly denied: DeniedResponse;
  /** Headers that no policy reads, but an observer. */
  readonly observedHeaders?: readonly string[];
}

export interface Checker {
  /**
   * Answers a CheckRequest message with a CheckResponse message: immediately, unless a token has to be decrypted, or a
   * signature recorded elsewhere.
   * Never throws or rejects.
   */
  check(message: Buffer, traceparent: string | undefined): Buffer | Promise<Buffer>;
  /** A change of keys empties the token cache, so that a removed key no longer verifies anything. */
  replaceRules(rules: CheckRules): void;
}

interface CheckerParts {
  readonly rules: CheckRules;
  /** Called for each check, in this order. */
  readonly observers: readonly CheckObserver[];
  readonly metrics: Pick<Metrics, 'cacheLookedUp'>;
  readonly log: Pick<Log, 'warn' | 'internalError'>;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
  /** A token named a `kid` that no key declares. */
  readonly onUnknownKid: () => void;
  /** Without one, a request that must not be a replay is `internal_error`. */
  readonly replayGuard?: ReplayGuard;
}

/** One call of Check. */
interface Call {
  readonly message: Buffer;
  readonly traceparent: string | undefined;
  readonly startMs: number;
  /** Of this call, as its request may have to be decided again. */
  replayGuard?: ReplayGuard;
}

export function createChecker(parts: CheckerParts): Checker {
  const { metrics, log, nowSeconds, onUnknownKid, replayGuard = NO_REPLAY_GUARD } = parts;
  const evaluateSafely = createEvaluator(parts);
  const record = createRecorder(parts);
  const events: VerificationEvents = {
    onCacheLookup: (outcome) => metrics.cacheLookedUp(outcome),
    onUnknownKid,
  };
  let rules = prepareRules(parts.rules, events);

  function check(call: Call): Buffer | Promise<Buffer> {
    const request = readRequest(call.message, rules.headerNames);
    if (request === undefined) return respond(call, undefined, decideUnreadable());
    const rulesBefore = rules;
    const decision = evaluateSafely(request, rules, replayGuardOf(call));
    if (!(decision instanceof Promise)) return respond(call, request, decision);
    // With rules that were replaced meanwhile, keys may have been removed that this decision relies on.
    return decision.then((decided) =>
      rules === rulesBefore ? respond(call, request, decided) : check(call),
    );
  }

  function replayGuardOf(call: Call): ReplayGuard | undefined {
    if (rules.refusesReplays) call.replayGuard ??= recordOnce(replayGuard);
    return call.replayGuard;
  }

  function respond(call: Call, request: CheckRequest | undefined, decision: Decision): Buffer {
    const response = encodeCheckResponse(decision, rules.denied, request?.resultHeaderAliases);
    record({
      request,
      decision,
      traceparent: call.traceparent,
      nowSeconds: decision.facts.nowSeconds ?? nowSeconds(),
      durationSeconds: (performance.now() - call.startMs) / 1000,
    });
    return response;
  }

  function failClosed(call: Call, error: unknown): Buffer {
    // An exception would reach Envoy as a failed RPC, which `failure_mode_allow` allows.
    log.internalError(error);
    return respond(call, undefined, decideUnreadable());
  }

  return {
    check(message, traceparent) {
      const call: Call = { message, traceparent, startMs: performance.now() };
      try {
        const response = check(call);
        return response instanceof Promise ? response.catch((error) => failClosed(call, error)) : response;
      } catch (error) {
        return failClosed(call, error);
      }
    },

    replaceRules(next) {
      rules = prepareRules(next, events, rules);
    },
  };
}

/** An observer that throws does not change the response, and does not keep the others from recording the check. */
function createRecorder({ observers, log }: Pick<CheckerParts, 'observers' | 'log'>) {
  return (check: CheckRecord): void => {
    for (const observer of observers) {
      try {
        observer.checkDone(check);
      } catch (error) {
        log.internalError(error);
      }
    }
  };
}

/** `undefined` if the message does not decode. */
function readRequest(message: Buffer, headerNames: ReadonlySet<string>): CheckRequest | undefined {
  try {
    return decodeCheckRequest(message, headerNames);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Evaluates a request; a bug is logged and becomes `internal_error`. */
function createEvaluator({ log, nowSeconds }: Pick<CheckerParts, 'log' | 'nowSeconds'>) {
  const limiter = createDecryptionLimiter(() => {
    log.warn({ limit: MAX_DECRYPTIONS }, 'decryption limit reached: checks are answered internal_error');
  });
  return (
    request: CheckRequest,
    rules: EvaluationRules,
    replayGuard: ReplayGuard | undefined,
  ): Decision | Promise<Decision> => {
    const onFault = (error: unknown): Decision => {
      log.internalError(error);
      return decideFault(request, rules.policyTable, nowSeconds());
    };
    try {
      const decision = evaluate(request, rules, nowSeconds, { decrypt: limiter.decrypt, replayGuard });
      return decision instanceof Promise ? decision.catch(onFault) : decision;
    } catch (error) {
      return onFault(error);
    }
  };
}

const FAULTY_VERIFIER: CheckVerifier = {
  verifyToken: () => rejectToken('internal_error', 'key'),
  verifyMessage() {
    throw new Error('there is no verified token');
  },
};

/** After a bug in verification, the policy's mode still decides what a fault means; after any other bug, deny. */
function decideFault(request: CheckRequest, policyTable: PolicyTable, nowSeconds: number): Decision {
  try {
    const choice = choosePolicies(request, policyTable);
    return decide(request, choice, FAULTY_VERIFIER, nowSeconds);
  } catch {
    return decideUnreadable();
  }
}

interface PreparedRules extends EvaluationRules {
  readonly denied: DeniedResponse;
  /** Whether any policy does. */
  readonly refusesReplays: boolean;
  readonly headerNames: ReadonlySet<string>;
}

function prepareRules(
  rules: CheckRules,
  events: VerificationEvents,
  previous?: PreparedRules,
): PreparedRules {
  const { policyTable, denied, keyset, decryptionKeys, messageSigningKeys, tokenCacheEntries } = rules;
  const keys = { keyset, decryptionKeys, messageSigningKeys, tokenCacheEntries };
  return {
    policyTable,
    denied,
    refusesReplays: [...policyTable.policies.values()].some(refusesReplays),
    headerNames: new Set([...headersDecodedUnder(policyTable), ...(rules.observedHeaders ?? [])]),
    verifier: new TokenVerifier(keys, events, previous?.verifier),
  };
}
