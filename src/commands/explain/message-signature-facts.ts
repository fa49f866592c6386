/** Gathers the facts of step message_signature: what was required, each signature, and the base that it was compared with. */
import { createHash } from 'node:crypto';
import { compareBaseDigest } from '../../approov/message-signature/base-digest.ts';
import { PROBLEM_MEANINGS } from '../../approov/message-signature/problem-meaning.ts';
import { absentComponents, type SignatureBase } from '../../approov/message-signature/signature-base.ts';
import type { SignatureInput } from '../../approov/message-signature/signature-input.ts';
import { SIGNATURE_KINDS, type SignatureLabel } from '../../approov/message-signature/signature-kind.ts';
import type { SignedRequest } from '../../approov/message-signature/signed-request.ts';
import { TARGET_READINGS, type TargetReadingName } from '../../approov/message-signature/target.ts';
import {
  failureDetails,
  type MessageSignatureResult,
} from '../../approov/message-signature/verify-message-signature.ts';
import type { Decision } from '../../authz/decide.ts';
import { clipAll } from '../../telemetry/printable.ts';

type Failure = Extract<MessageSignatureResult, { kind: 'failed' }>['failure'];

interface SignatureDescription {
  readonly label: SignatureLabel;
  readonly verified: boolean;
  readonly algorithm: string;
  /** The id of an account key; `ipk` for the key of an installation. `null`: not verified. */
  readonly key: string | null;
  readonly components: readonly string[];
  /** The components that the request does not have. */
  readonly absent_components: readonly string[];
  readonly created: number;
  readonly expires: number | null;
  /** How the target of the request was read; of a signature that is not verified, how it was first. */
  readonly reading: TargetReadingName | null;
  readonly reading_means: string | null;
  /** In which other ways it was read. */
  readonly also_tried: readonly TargetReadingName[];
  /** Credentials in it are hidden. */
  readonly base: string | null;
  /** SHA-256 of the base, in base64. */
  readonly base_digest: string | null;
  /** How the app’s Signature-Base-Digest compares. */
  readonly sent_base_digest: 'absent' | 'malformed' | 'differs' | 'matches';
}

export interface MessageSignatureFacts {
  /** What the policy says; `null`: nothing. */
  readonly install: string | null;
  readonly account: string | null;
  readonly has_ipk: boolean;
  readonly mskid: unknown;
  readonly required: boolean;
  readonly reason: Failure['reason'] | null;
  /** Of the signature at fault. */
  readonly label: SignatureLabel | null;
  readonly problem: string | null;
  readonly problem_means: string | null;
  /** Required, and not covered. */
  readonly missing_components: readonly string[];
  readonly signatures: readonly SignatureDescription[];
  readonly body: SignedRequest['body']['kind'] | null;
  readonly content_digest: string | null;
  /** The policy's setting: only the running service knows what was sent before. */
  readonly replay: string | null;
  readonly now: number;
  readonly clock_tolerance_seconds: number;
  readonly max_age_seconds: number;
}

export function messageSignatureFacts(decision: Decision): MessageSignatureFacts {
  const { facts, verifiedToken } = decision;
  const { result, policy, request } = facts.messageSignature ?? {};
  const claims = verifiedToken?.claims ?? {};
  const failure = result?.kind === 'failed' ? result.failure : undefined;
  const { label, problem, components = [] } = failure === undefined ? {} : failureDetails(failure);
  return {
    install: policy?.install ?? null,
    account: policy?.account ?? null,
    has_ipk: Object.hasOwn(claims, 'ipk'),
    mskid: clipAll(claims['mskid']),
    required: result !== undefined && result.kind !== 'not_required',
    reason: failure?.reason ?? null,
    label: label ?? null,
    problem: problem ?? null,
    problem_means: problem === undefined ? null : PROBLEM_MEANINGS[problem],
    missing_components: components,
    signatures:
      result === undefined || request === undefined
        ? []
        : describeSignatures(result, { request, hidden: hiddenHeaders(decision.policy) }),
    body: request?.body.kind ?? null,
    content_digest: result?.kind === 'verified' ? result.contentDigest : null,
    replay: policy?.replay ?? null,
    now: facts.nowSeconds ?? 0,
    clock_tolerance_seconds: policy?.clockToleranceSeconds ?? 0,
    max_age_seconds: policy?.maxAgeSeconds ?? 0,
  };
}

interface Surroundings {
  readonly request: SignedRequest;
  readonly hidden: ReadonlySet<string>;
}

function describeSignatures(
  result: MessageSignatureResult,
  surroundings: Surroundings,
): readonly SignatureDescription[] {
  if (result.kind === 'not_required') return [];
  const verified = result.signatures.map(({ label, input, key, bases }) =>
    describe({ label, input, bases, key: key.keyId ?? SIGNATURE_KINDS[label].claim }, surroundings),
  );
  const failed =
    result.kind === 'failed' && 'signature' in result.failure ? result.failure.signature : undefined;
  const { label, input, bases = [] } = failed ?? {};
  return label === undefined || input === undefined
    ? verified
    : [...verified, describe({ label, input, bases, key: null }, surroundings)];
}

interface Judged {
  readonly label: SignatureLabel;
  readonly input: SignatureInput;
  readonly bases: readonly SignatureBase[];
  /** `null`: not verified. */
  readonly key: string | null;
}

function describe(
  { label, input, bases, key }: Judged,
  { request, hidden }: Surroundings,
): SignatureDescription {
  const sent = compareBaseDigest(label, bases, request);
  const same = sent.kind === 'matches' ? bases.find(({ reading }) => reading === sent.reading) : undefined;
  const shown = key === null ? (same ?? bases[0]) : bases.at(-1);
  return {
    label,
    verified: key !== null,
    algorithm: input.algorithm ?? SIGNATURE_KINDS[label].algorithm,
    key,
    components: input.components.map(({ identifier }) => identifier),
    absent_components: absentComponents(input, request),
    created: input.created,
    expires: input.expires ?? null,
    reading: shown?.reading ?? null,
    reading_means: shown === undefined ? null : TARGET_READINGS[shown.reading].because,
    also_tried: bases.filter((base) => base !== shown).map(({ reading }) => reading),
    base: shown === undefined ? null : printableBase(shown.text, hidden),
    base_digest:
      shown === undefined ? null : createHash('sha256').update(shown.text, 'latin1').digest('base64'),
    sent_base_digest: sent.kind,
  };
}

/** Headers with credentials, under any policy. */
const CREDENTIALS = ['authorization', 'proxy-authorization', 'cookie'];

function hiddenHeaders(policy: Decision['policy']): ReadonlySet<string> {
  return new Set([...CREDENTIALS, policy?.tokenHeader ?? '', ...(policy?.binding?.headers ?? [])]);
}

function printableBase(base: string, hidden: ReadonlySet<string>): string {
  return base
    .split('\n')
    .map((line) => {
      const [, name = '', value = ''] = /^"([^"]*)": (.*)$/.exec(line) ?? [];
      if (!hidden.has(name)) return line;
      const hash = createHash('sha256').update(value, 'latin1').digest('hex').slice(0, 12);
      return `"${name}": [hidden: ${value.length} characters, SHA-256 ${hash}…]`;
    })
    .join('\n');
}
