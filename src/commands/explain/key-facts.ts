/** Gathers the facts of steps key and signature: which keys could verify the token, and what came of it. */
import { parseAlgorithm } from '../../approov/algorithm.ts';
import type { VerificationKey } from '../../approov/keyset.ts';
import type { CheckRequest } from '../../authz/check-request.ts';
import type { Decision } from '../../authz/decide.ts';
import { readHost } from '../../authz/host.ts';
import type { TokenVerifier } from '../../authz/token-verifier.ts';
import { clipAll } from '../../telemetry/printable.ts';
import { foreignMarks } from './foreign-token.ts';
import { signatureLengthProblem } from './token-form.ts';

interface KeyDescription {
  readonly id: string;
  readonly kid: string | null;
  readonly algorithms: readonly string[];
  readonly fingerprint: string;
  /** Whether the key may be used for the host of the request. */
  readonly for_host: boolean;
}

type KeyProblem =
  | 'not_signed'
  | 'critical_extension'
  | 'not_decrypted'
  | 'no_signature'
  | 'keys_not_loaded'
  | 'too_many_keys'
  | 'no_key_for_kid'
  | 'no_key_for_alg';

export interface KeyFacts {
  /** Of the header of an encrypted token. */
  readonly encryption: { readonly alg: unknown; readonly enc: unknown; readonly kid: unknown } | null;
  /** Of the header of the signed token, if it is known: not of one that was inside an encrypted token and verified. */
  readonly alg: unknown;
  readonly kid: unknown;
  /** `null`: some key may verify the token. */
  readonly problem: KeyProblem | null;
  /** The keys that the token's `kid` and the host select. Unless there is a problem, those of them that allow its `alg`. */
  readonly keys: readonly KeyDescription[];
  readonly configured_keys: readonly KeyDescription[];
  readonly keys_not_loaded: readonly string[];
  readonly decryption_keys: readonly string[];
  readonly foreign: readonly string[];
}

export function keyFacts(
  decision: Decision,
  { host }: CheckRequest,
  { keys: { keyset, decryptionKeys } }: TokenVerifier,
): KeyFacts {
  const { presentedToken, facts } = decision;
  const describe = describeFor(readHost(host) ?? '');
  const { header, parsed } = presentedToken ?? {};
  const { keys = [] } = facts.key ?? {};
  const isEncrypted = parsed?.kind === 'jwe';
  const problem = decision.step === 'key' ? findProblem(decision) : null;
  const isInnerKnown = !isEncrypted || (problem !== 'not_decrypted' && decision.verifiedToken === undefined);
  return {
    encryption: isEncrypted
      ? { alg: clipAll(header?.['alg']), enc: clipAll(header?.['enc']), kid: clipAll(header?.['kid']) }
      : null,
    alg: isInnerKnown ? clipAll(facts.key?.alg) : undefined,
    kid: isInnerKnown ? clipAll(facts.key?.kid) : undefined,
    problem,
    keys: (decision.verifiedToken === undefined ? keys : verifyingKeys(decision, keyset.keys)).map(describe),
    configured_keys: keyset.keys.map(describe),
    keys_not_loaded: keyset.missing.map(({ id }) => id),
    decryption_keys: decryptionKeys.map(({ id }) => id),
    foreign: presentedToken === undefined ? [] : foreignMarks(presentedToken),
  };
}

function findProblem({ reason, presentedToken, facts }: Decision): KeyProblem {
  const { header, parsed } = presentedToken ?? {};
  if (reason === 'internal_error') return facts.key?.keys.length === 0 ? 'keys_not_loaded' : 'too_many_keys';
  if (reason === 'unknown_key_id') return 'no_key_for_kid';
  if (reason === 'invalid_token_format') return 'no_signature';
  if (header?.['alg'] === 'none') return 'not_signed';
  if (header !== undefined && Object.hasOwn(header, 'crit')) return 'critical_extension';
  return parsed?.kind === 'jwe' && facts.key?.keys.length === 0 ? 'not_decrypted' : 'no_key_for_alg';
}

/** The keys of the verifying id that the token could have used; one, unless it is the id of a whole JWK Set. */
function verifyingKeys(
  { facts, verifiedToken }: Decision,
  keys: readonly VerificationKey[],
): readonly VerificationKey[] {
  const { alg, kid } = facts.key ?? {};
  const algorithm = parseAlgorithm(alg);
  const own = keys.filter(
    ({ id, algorithms }) =>
      id === verifiedToken?.keyId && (algorithm === undefined || algorithms.includes(algorithm)),
  );
  const named = own.filter((key) => key.kid !== undefined && key.kid === kid);
  return named.length > 0 ? named : own;
}

function describeFor(host: string): (key: VerificationKey) => KeyDescription {
  return ({ id, kid = null, algorithms, fingerprint, isForHost }) => ({
    id,
    kid,
    algorithms,
    fingerprint,
    for_host: isForHost?.(host) ?? true,
  });
}

export interface SignatureFacts {
  /** The id of the key that verified the token. */
  readonly verified_by: string | null;
  /** `null`: several keys of a JWK Set could be the one. */
  readonly fingerprint: string | null;
  readonly encrypted: boolean;
  readonly tried: readonly KeyDescription[];
  /** A signature that is too short or too long for `alg`. */
  readonly length_problem: string | null;
  readonly payload_is_object: boolean;
  /** Of the token's `arc` claim, which is not verified. */
  readonly unverified_arc: unknown;
  /** Of the keys tried. */
  readonly key_warnings: readonly string[];
  readonly foreign: readonly string[];
}

export function signatureFacts(
  decision: Decision,
  request: CheckRequest,
  verifier: TokenVerifier,
): SignatureFacts {
  const { presentedToken, verifiedToken, facts, reason } = decision;
  const { parsed, header, claims } = presentedToken ?? {};
  const { keys, foreign } = keyFacts(decision, request, verifier);
  return {
    verified_by: verifiedToken?.keyId ?? null,
    fingerprint: verifiedToken !== undefined && keys.length === 1 ? (keys[0]?.fingerprint ?? null) : null,
    encrypted: parsed?.kind === 'jwe',
    tried: verifiedToken === undefined ? keys : [],
    length_problem:
      verifiedToken === undefined && parsed?.kind === 'jws'
        ? (signatureLengthProblem(header, parsed.signature.length) ?? null)
        : null,
    payload_is_object: !(decision.step === 'signature' && reason === 'invalid_token_format'),
    unverified_arc: verifiedToken === undefined ? clipAll(claims?.['arc']) : undefined,
    key_warnings: (facts.key?.keys ?? []).flatMap(({ id, secret }) =>
      secret?.warning === undefined ? [] : [`${id}: ${secret.warning}`],
    ),
    foreign,
  };
}
