/** Owns `explain`: takes a request described on the command line through the check, step by step. */
import {
  type DecryptedToken,
  decryptToken,
  isEncryptedToken,
  verifyDecryptedToken,
} from '../approov/encrypted-token.ts';
import type { Keyset } from '../approov/keyset.ts';
import { readUnverifiedToken, startAttempts } from '../approov/token.ts';
import type { CheckRequest } from '../authz/check-request.ts';
import { type Decision, decide, type TokenVerifier } from '../authz/decide.ts';
import { type Ambiguity, choosePolicies, type Policy, type PolicyTable } from '../authz/policy.ts';
import { REASONS, STEPS, type Step } from '../authz/reason.ts';
import { presentedTokens } from '../authz/token-header.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import { loadConfig } from '../sources/config-store.ts';
import { fetchKeyset } from '../sources/key-store.ts';
import type { LoadedConfig } from '../sources/loaded-config.ts';
import { clipAll, escapeUnprintable } from '../telemetry/printable.ts';
import { type Command, configFile, EXIT, type Io, type Options, UsageError } from './command.ts';

export const explain: Command = {
  help: [
    '--token TOKEN        the token, put into the header of the policy that applies; - reads it from stdin',
    "--header 'NAME: V'   a header of the request; repeat for more",
    '--host HOST --path PATH --method METHOD   of the request (default: none, / and GET)',
    '--policy NAME        the policy, as if Envoy had sent it in context_extensions',
    '--at TIME            decide as of then: 2026-01-31T12:00:00Z, or seconds since the epoch',
    '--json               print JSON',
  ],
  options: {
    token: { type: 'string' },
    header: { type: 'string', multiple: true },
    host: { type: 'string' },
    path: { type: 'string' },
    method: { type: 'string' },
    policy: { type: 'string' },
    at: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(options, io) {
    const nowSeconds = readTime(options, io);
    const bare = readRequest(options);
    const configuration = await loadConfig(configFile(options, io), io.env);
    const request = withToken(bare, configuration.config.policyTable, await readToken(options, io));
    const { config } = configuration;
    const { keyset, problems } = await fetchKeyset(configuration.keys, config.proxy);
    for (const [id, problem] of problems) io.err(`the keys of ${id} are not there: ${problem}`);
    const choice = choosePolicies(request, config.policyTable);
    const verify = await createVerifier(request, choice.policies, keyset, configuration);
    const decision = decide(request, choice, verify, nowSeconds);
    const explanation = explainDecision(decision);
    const lines = options.flag('json')
      ? JSON.stringify(explanation, null, 2).split('\n')
      : formatExplanation(explanation);
    io.out(lines.map(escapeUnprintable).join('\n'));
    return decision.action === 'deny' ? EXIT.refused : EXIT.ok;
  },
};

/** Decrypts beforehand, as the decision does not wait, and one token only, as a check does. */
async function createVerifier(
  request: CheckRequest,
  policies: readonly Policy[],
  keyset: Keyset,
  { decryptionKeys }: LoadedConfig,
): Promise<TokenVerifier> {
  const opened = new Map<string, DecryptedToken>();
  const encrypted = [...presentedTokens(request, policies)].find(isEncryptedToken);
  if (encrypted !== undefined) opened.set(encrypted, await decryptToken(encrypted, decryptionKeys));
  const attempts = startAttempts();
  return (token, host) => verifyDecryptedToken(token, opened, keyset, host, attempts);
}

interface Explanation {
  readonly steps: readonly {
    readonly step: Step;
    readonly result: 'passed' | 'failed' | 'skipped' | 'not reached';
    readonly about: string;
  }[];
  readonly policy: string;
  readonly mode: string;
  readonly verdict: string;
  readonly action: string;
  readonly reason: string;
  readonly would_deny: boolean;
  readonly meaning: string;
  readonly remedy: string;
  readonly ambiguous?: Ambiguity;
  readonly key_id?: string;
  readonly token?: {
    readonly header: unknown;
    readonly claims: unknown;
    readonly signature: 'verified' | 'not verified';
  };
}

function explainDecision(decision: Decision): Explanation {
  const { policy, mode, verdict, action, reason, presentedToken, verifiedToken, ambiguous } = decision;
  const { meaning, remedy } = REASONS[reason];
  const unverified = presentedToken === undefined ? undefined : readUnverifiedToken(presentedToken);
  return {
    steps: explainSteps(decision),
    policy: policy?.name ?? UNKNOWN,
    mode,
    verdict,
    action,
    reason,
    would_deny: verdict === 'unverified',
    meaning,
    remedy,
    ...(ambiguous === undefined ? {} : { ambiguous }),
    ...(verifiedToken === undefined ? {} : { key_id: verifiedToken.keyId }),
    ...(unverified === undefined
      ? {}
      : {
          token: {
            header: clipAll(unverified.header),
            claims: clipAll(unverified.claims ?? null),
            signature: verifiedToken === undefined ? 'not verified' : 'verified',
          },
        }),
  };
}

function explainSteps(decision: Decision): Explanation['steps'] {
  const names = Object.keys(STEPS) as Step[];
  const stop = stoppingStep(decision);
  const stopIndex = stop === undefined ? names.length : names.indexOf(stop);
  return names.map((step, index) => {
    const about = STEPS[step];
    if (index < stopIndex) return { step, result: 'passed', about };
    if (index > stopIndex) return { step, result: 'not reached', about };
    return { step, result: decision.verdict === 'skipped' ? 'skipped' : 'failed', about };
  });
}

/** `invalid_token_format` may also come later: an empty signature is seen with the key, the payload after the signature. */
function stoppingStep({ reason, presentedToken }: Decision): Step | undefined {
  // The faults that are values: the key that could judge the token is in a set that was not fetched, or was not tried.
  if (reason === 'internal_error') return 'key';
  const isReadable = presentedToken !== undefined && readUnverifiedToken(presentedToken) !== undefined;
  if (reason !== 'invalid_token_format' || !isReadable) return REASONS[reason].step;
  return presentedToken.endsWith('.') ? 'key' : 'signature';
}

const AMBIGUOUS: Readonly<Record<Ambiguity, string>> = {
  path: 'upstreams read it in different ways: the strictest of all policies that could apply decides',
  host: 'absent or no valid host: the policies of routes that name a host could apply too, and the strictest decides',
};

function formatExplanation(explanation: Explanation): readonly string[] {
  const { steps, policy, mode, verdict, action, reason, meaning, remedy, ambiguous, key_id, token } =
    explanation;
  return [
    ...steps.map(({ step, result, about }) => `${step.padEnd(10)} ${result.padEnd(12)} ${about}`),
    '',
    ...(ambiguous === undefined ? [] : [`ambiguous: ${ambiguous} (${AMBIGUOUS[ambiguous]})`]),
    `policy     ${policy} (mode ${mode})`,
    ...(key_id === undefined ? [] : [`key        ${key_id}`]),
    ...(token === undefined
      ? []
      : [
          `header     ${JSON.stringify(token.header)}`,
          `claims     ${JSON.stringify(token.claims)} (signature ${token.signature})`,
        ]),
    `verdict    ${verdict}`,
    `action     ${action}`,
    `reason     ${reason}: ${meaning}`,
    ...(verdict === 'unverified' ? [`what to do ${remedy}`] : []),
  ];
}

function readRequest(options: Options): CheckRequest {
  const headers = new Map<string, Buffer[]>();
  for (const line of options.texts('header')) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new UsageError("--header: must be 'name: value'");
    addHeader(headers, line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return {
    method: options.text('method') ?? 'GET',
    path: options.text('path') ?? '/',
    host: options.text('host') ?? '',
    headers,
    resultHeaderAliases: new Set(),
    policyName: options.text('policy'),
    sourceAddress: '',
  };
}

/** Puts the token into the header in which each policy that judges the request would look for it. */
function withToken(request: CheckRequest, table: PolicyTable, token: string | undefined): CheckRequest {
  if (token === undefined) return request;
  const headers = new Map([...request.headers].map(([name, values]) => [name, [...values]]));
  const names = new Set(choosePolicies(request, table).policies.map((policy) => policy.tokenHeader));
  for (const name of names) addHeader(headers, name, token);
  return { ...request, headers };
}

function addHeader(headers: Map<string, Buffer[]>, name: string, value: string): void {
  headers.set(name, [...(headers.get(name) ?? []), Buffer.from(value)]);
}

async function readToken(options: Options, io: Io): Promise<string | undefined> {
  const token = options.text('token');
  return token === '-' ? (await io.readStdin()).trim() : token;
}

function readTime(options: Options, io: Io): number {
  const text = options.text('at');
  if (text === undefined) return io.nowSeconds();
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  if (!Number.isFinite(seconds)) {
    throw new UsageError('--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch');
  }
  return seconds;
}
