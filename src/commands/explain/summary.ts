/** Sums up in one sentence why a request was allowed or refused. */
import type { Decision } from '../../authz/decide.ts';
import type { Reason } from '../../authz/reason.ts';
import { formatDuration } from '../../rollout/words.ts';
import type { FactsByStep } from './step-facts.ts';
import { CUT_OFF, MISTAKES } from './token-form.ts';
import { bare, list, quote } from './values.ts';

type Facts = Partial<FactsByStep>;

const SUMMARIES: Readonly<Record<Reason, (facts: Facts) => string>> = {
  ok: () => 'the token passed every step',
  policy_off: ({ policy }) => `policy ${policy?.policy} is off, so no token is required`,
  cors_preflight: () => 'a CORS preflight, which browsers send without a token',
  unknown_policy: () => 'the policy that was named is not configured',
  missing_approov_token: missingToken,
  duplicate_approov_token: ({ token }) =>
    `header ${token?.header} has ${token?.state === 'json' ? 'JSON, not a token' : 'more than one token'}`,
  invalid_token_format: malformed,
  unsupported_token_algorithm: unsupported,
  unknown_key_id: ({ key }) =>
    key?.kid === undefined ? 'no key is for this host' : `no key has kid ${quote(key.kid)}`,
  invalid_token_signature: ({ signature }) =>
    signature?.length_problem == null
      ? `no key verifies the signature of the token${signature?.foreign.length ? ', which looks like one for something else' : ''}`
      : signature.length_problem.startsWith(CUT_OFF)
        ? 'the token is cut off'
        : 'the signature of the token is too long',
  missing_expiry: ({ lifetime }) =>
    lifetime?.exp === undefined ? 'the token has no `exp`' : '`exp` of the token is not a number',
  token_expired: ({ lifetime }) =>
    `the token expired ${formatDuration((lifetime?.now ?? 0) - Number(lifetime?.exp))} ago`,
  token_not_yet_valid: ({ lifetime }) =>
    typeof lifetime?.nbf === 'number' && lifetime.nbf > lifetime.now
      ? `the token is not valid before ${formatDuration(lifetime.nbf - lifetime.now)} from now`
      : '`nbf` of the token is not a number',
  claim_mismatch: ({ claims }) => {
    const names = [
      ...(claims?.issuer_matches === false ? ['`iss`'] : []),
      ...(claims?.audience_matches === false ? ['`aud`'] : []),
    ];
    return `${list(names, 'and')} of the token ${names.length === 1 ? 'is' : 'are'} not what the policy expects`;
  },
  missing_pay_claim: () => 'the token is not bound, and the policy requires a binding',
  missing_binding_header: ({ binding }) => {
    const names = (binding?.headers ?? []).filter(({ state }) => state !== 'present');
    return `the token is bound, but ${list(
      names.map(({ name, state }) => `header ${name} is ${state}`),
      'and',
    )}`;
  },
  binding_mismatch: ({ binding }) =>
    binding?.pay === 'not_string'
      ? '`pay` of the token is not a hash'
      : `the token is not bound to this ${list(binding?.headers.map(({ name }) => name) ?? [], 'and')}${
          binding?.mismatch == null ? '' : `: its hash matches ${binding.mismatch}`
        }`,
  missing_message_signature: ({ message_signature }) =>
    `the request has no signature labelled ${message_signature?.label}`,
  invalid_message_signature: ({ message_signature }) =>
    message_signature?.problem === 'not_verified'
      ? `the ${message_signature.label} signature is not of this request, or not by this key`
      : `the ${message_signature?.label ?? 'message'} signature cannot be verified`,
  message_signature_expired: ({ message_signature }) =>
    message_signature?.problem === 'created_in_the_future'
      ? `the ${message_signature.label} signature was made in the future`
      : `the ${message_signature?.label} signature has expired`,
  missing_signed_components: ({ message_signature }) =>
    message_signature?.missing_components.length === 0
      ? 'no signature covers the body'
      : `the ${message_signature?.label} signature does not cover ${list(message_signature?.missing_components ?? [], 'and')}`,
  content_digest_mismatch: ({ message_signature }) =>
    message_signature?.body === 'complete'
      ? 'the body is not the one that was signed'
      : 'the body that was signed is not there in full',
  message_replayed: () => 'a request with this signature came before',
  internal_error: () => 'the service could not judge the token',
};

function missingToken({ token }: Facts): string {
  if (token === undefined) return 'no token';
  if (token.state === 'status_word') {
    const word = token.sdk_status?.word ?? 'other';
    return `header ${token.header} has ${word === 'other' ? 'a word' : `the status word \`${word}\``} in place of a token`;
  }
  const status = token.sdk_status === null ? '' : `; Approov-Status says \`${token.sdk_status.word}\``;
  return `header ${token.header} is ${token.state}${status}`;
}

function malformed({ token, key, signature }: Facts): string {
  if (signature !== undefined) {
    return signature.verified_by === null
      ? 'the encrypted token does not contain a signed token'
      : 'the payload of the token is not a JSON object';
  }
  if (key !== undefined) return 'the token is cut off: it has no signature';
  const { mistakes = [], well_formed_without, defect } = token?.token ?? {};
  if (well_formed_without === true)
    return `the token has ${list(
      mistakes.map((mistake) => MISTAKES[mistake]),
      'and',
    )}`;
  return mistakes.length === 0 && defect?.startsWith(CUT_OFF)
    ? 'the token is cut off'
    : `header ${token?.header} has a value that is not a token`;
}

function unsupported({ key }: Facts): string {
  switch (key?.problem) {
    case 'not_signed':
      return 'the token is not signed';
    case 'critical_extension':
      return 'the token needs an extension that is not supported (`crit`)';
    case 'not_decrypted':
      return 'the token is encrypted, and no key decrypts it';
    default:
      return `no key allows alg ${bare(key?.alg)}`;
  }
}

export interface Outcome {
  readonly outcome: 'allowed' | 'refused';
  /** Completes "allowed: …" or "refused: …". */
  readonly summary: string;
}

/** What the mode adds where a request is allowed that `enforce` would refuse. */
const MODE_NOTES: Readonly<Partial<Record<Decision['mode'], string>>> = {
  observe: ', but the policy only observes',
  limit: ', but the policy only marks it for rate limiting',
};

export function summarize({ action, reason, mode, verdict }: Decision, facts: Facts): Outcome {
  const why = SUMMARIES[reason](facts);
  if (action === 'deny') return { outcome: 'refused', summary: why };
  const isShared = facts.policy?.share != null;
  const note = isShared ? ', but this device is only observed' : (MODE_NOTES[mode] ?? '');
  return { outcome: 'allowed', summary: verdict === 'unverified' ? `${why}${note}` : why };
}
