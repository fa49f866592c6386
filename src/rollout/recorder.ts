/** Observes checks, and counts what the rollout page shows: who would be locked out under which policy. */
import { expirySeconds } from '../approov/claims.ts';
import { trimOws } from '../approov/field-value.ts';
import { type CheckRequest, HEADERS_READ, headerValues } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';
import type { Policy, PolicyTable } from '../authz/policy.ts';
import { type Mode, UNKNOWN } from '../authz/verdict.ts';
import type { AppVersionSettings } from '../config/rollout-schema.ts';
import type { CheckObserver, CheckRecord } from '../telemetry/check-observer.ts';
import { judgingRules } from './judging-rules.ts';
import { createKeyedHash, type KeyedHash } from './keyed-hash.ts';
import { OTHER_VERSION, type Outcome } from './outcomes.ts';
import { PolicyCounts } from './policy-counts.ts';
import type { Restart, RolloutSnapshot } from './snapshot.ts';

export interface RolloutRecorder extends CheckObserver {
  /**
   * Forgets policies that are not in the table, and what was counted of a policy before it was off or judged otherwise.
   * @param table without overrides, which restart nothing.
   */
  configure(
    table: Pick<PolicyTable, 'policies'>,
    appVersion: AppVersionSettings | undefined,
    nowSeconds: number,
  ): void;
  /** Counts devices from now on. Workers of one service use the same key, so that their sketches can be merged. */
  useDeviceKey(key: Uint8Array): void;
  snapshot(): RolloutSnapshot;
}

/** The word of requests from the SDK without a status word. */
const NO_WORD = 'none';
/** Larger payloads are not parsed for the id of a device that nobody vouches for. */
const MAX_UNVERIFIED_CHARACTERS = 2048;

/** What is counted of a policy, and under which configuration. */
interface Counted {
  readonly counts: PolicyCounts;
  readonly rules: string;
  /** As configured; `undefined`: it is not. */
  readonly mode: Mode | undefined;
  readonly restart: Restart | null;
}

export function createRolloutRecorder(sinceSeconds: number): RolloutRecorder {
  const policies = new Map<string, Counted>([[UNKNOWN, unconfigured()]]);
  let isConfigured = false;
  let hash: KeyedHash | undefined;
  let versions: { readonly header: string; readonly known: ReadonlySet<string> } | undefined;

  function countsOf(name: string): PolicyCounts {
    const known = policies.get(name);
    if (known !== undefined) return known.counts;
    // The check started before its policy was removed.
    const added = unconfigured();
    policies.set(name, added);
    return added.counts;
  }

  function configurePolicy(policy: Policy, nowSeconds: number): void {
    const { name, mode } = policy;
    const known = policies.get(name);
    const rules = judgingRules(policy);
    const cause = isConfigured ? restartCause(known, mode, rules) : undefined;
    policies.set(name, {
      counts: cause === undefined && known !== undefined ? known.counts : new PolicyCounts(),
      rules,
      mode,
      restart: cause === undefined ? (known?.restart ?? null) : { cause, atSeconds: nowSeconds },
    });
  }

  return {
    checkDone(record) {
      const { request, decision, nowSeconds } = record;
      const outcome = outcomeOf(record);
      const isJudged = decision.verdict !== 'skipped' && request !== undefined;
      const counts = countsOf(decision.policy?.name ?? UNKNOWN);
      counts.add(
        outcome,
        nowSeconds,
        isJudged ? hash?.(deviceOf(request, decision)) : undefined,
        isJudged && versions !== undefined ? versionOf(request, versions) : undefined,
      );
      if (outcome === 'sdk_without_token') counts.addWord(decision.sdkStatus ?? NO_WORD, nowSeconds);
      const seconds = outcome === 'token_expired' ? expiredSeconds(record) : undefined;
      if (seconds !== undefined) counts.addExpired(seconds, nowSeconds);
    },

    configure({ policies: configured }, appVersion, nowSeconds) {
      for (const name of policies.keys())
        if (name !== UNKNOWN && !configured.has(name)) policies.delete(name);
      for (const policy of configured.values()) configurePolicy(policy, nowSeconds);
      isConfigured = true;
      versions = appVersion && { header: appVersion.header, known: new Set(appVersion.known) };
    },

    useDeviceKey(key) {
      hash = createKeyedHash(key);
    },

    snapshot: () => ({
      sinceSeconds,
      policies: Object.fromEntries(
        Array.from(policies, ([name, { counts, rules, restart }]) => [
          name,
          { rules, restart, ...counts.snapshot() },
        ]),
      ),
    }),
  };
}

function unconfigured(): Counted {
  return { counts: new PolicyCounts(), rules: '', mode: undefined, restart: null };
}

/** Why the counts of a policy must be reset; `undefined`: they are kept. */
function restartCause(before: Counted | undefined, mode: Mode, rules: string): Restart['cause'] | undefined {
  if (before?.mode === undefined) return 'added';
  if (before.mode === 'off' && mode !== 'off') return 'left_off';
  return before.rules === rules ? undefined : 'changed';
}

function outcomeOf({ request, decision }: CheckRecord): Outcome {
  const { reason, sdkStatus } = decision;
  if (reason !== 'missing_approov_token' || request === undefined) return reason;
  const hasSdk = sdkStatus !== undefined || headerValues(request, HEADERS_READ.approovTraceId).length > 0;
  return hasSdk ? 'sdk_without_token' : reason;
}

/** The device id that the token names, verified or not; without one, the address of the client. */
function deviceOf(request: CheckRequest, { verifiedToken, presentedToken }: Decision): string {
  const claims =
    verifiedToken?.claims ??
    (presentedToken !== undefined && presentedToken.text.length <= MAX_UNVERIFIED_CHARACTERS
      ? presentedToken.claims
      : undefined);
  const did = claims?.['did'];
  if (typeof did === 'string' && did !== '') return did;
  const [address] = headerValues(request, HEADERS_READ.externalAddress);
  return address === undefined ? request.sourceAddress : address.toString('latin1', 0, 64);
}

function versionOf(
  request: CheckRequest,
  { header, known }: { readonly header: string; readonly known: ReadonlySet<string> },
): string {
  const [value, ...others] = headerValues(request, header);
  if (value === undefined || others.length > 0) return OTHER_VERSION;
  const version = trimOws(value).toString('latin1', 0, 64);
  return known.has(version) ? version : OTHER_VERSION;
}

function expiredSeconds({ decision: { verifiedToken }, nowSeconds }: CheckRecord): number | undefined {
  const expiry = verifiedToken && expirySeconds(verifiedToken);
  return expiry === undefined ? undefined : nowSeconds - expiry;
}
