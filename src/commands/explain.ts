/** Implements `explain`: evaluates a request described on the command line, and shows each step. */
import type { CheckRequest } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';
import { evaluate } from '../authz/evaluate.ts';
import { type Ambiguity, choosePolicies, type PolicyTable } from '../authz/policy.ts';
import { REASONS, STEPS, type Step } from '../authz/reason.ts';
import { TokenVerifier } from '../authz/token-verifier.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import { loadConfig } from '../sources/config-store.ts';
import { fetchKeyset } from '../sources/key-store.ts';
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
  argumentAdvice: 'give a token with --token TOKEN, or pipe it in with --token -',
  async run(options, io) {
    const nowSeconds = readTime(options, io);
    const bare = readRequest(options);
    const { config, keys, decryptionKeys } = await loadConfig(configFile(options, io), io.env);
    const { policyTable } = config;
    const request = withToken(bare, policyTable, await readToken(options, io));
    const { keyset, problems } = await fetchKeyset(keys, config.proxy);
    for (const [id, problem] of problems) io.err(`the keys of ${id} are not there: ${problem}`);
    const verifier = new TokenVerifier({ keyset, decryptionKeys, tokenCacheEntries: 0 });
    const decision = await evaluate(request, { policyTable, verifier }, () => nowSeconds);
    const explanation = explainDecision(decision);
    const lines = options.flag('json')
      ? JSON.stringify(explanation, null, 2).split('\n')
      : formatExplanation(explanation);
    io.out(lines.map(escapeUnprintable).join('\n'));
    return decision.action === 'deny' ? EXIT.refused : EXIT.ok;
  },
};

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
    ...(presentedToken?.header === undefined
      ? {}
      : {
          token: {
            header: clipAll(presentedToken.header),
            claims: clipAll(presentedToken.claims ?? null),
            signature: verifiedToken === undefined ? 'not verified' : 'verified',
          },
        }),
  };
}

function explainSteps(decision: Decision): Explanation['steps'] {
  const names = Object.keys(STEPS) as Step[];
  const stopIndex = decision.step === undefined ? names.length : names.indexOf(decision.step);
  return names.map((step, index) => {
    const about = STEPS[step];
    if (index < stopIndex) return { step, result: 'passed', about };
    if (index > stopIndex) return { step, result: 'not reached', about };
    return { step, result: decision.verdict === 'skipped' ? 'skipped' : 'failed', about };
  });
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

/** Adds the token in the token header of each policy that applies to the request. */
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
