/** Lists the reasons of decisions: verdicts, metrics, logs, `explain` and the documentation derive from this table. */
import type { Verdict } from './verdict.ts';

/** The steps of a check, in order. */
export const STEPS = {
  policy: 'which policy applies, and whether it asks for a token',
  token: 'one token of three base64url parts is there',
  key: 'a key may verify it, by `kid` and `alg`',
  signature: 'that key signed it, and it signed a JSON object',
  lifetime: '`exp` and `nbf`',
  claims: '`iss` and `aud`, where configured',
  binding: '`pay` matches the bound headers, where configured',
  message_signature: 'the request is signed, and was not sent before, where configured',
} as const;

export type Step = keyof typeof STEPS;

interface ReasonRow {
  readonly verdict: Verdict;
  /** The step that usually gives this reason; `Decision.step` is the one that did. `undefined`: none. */
  readonly step: Step | undefined;
  readonly meaning: string;
  /** What the operator can do about it. */
  readonly remedy: string;
}

export const REASONS = {
  ok: {
    verdict: 'verified',
    step: undefined,
    meaning: 'The token passed every step.',
    remedy: 'Nothing.',
  },
  policy_off: {
    verdict: 'skipped',
    step: 'policy',
    meaning: 'The policy is `off`: no token was looked for.',
    remedy: 'Nothing, if the route is meant to be open.',
  },
  cors_preflight: {
    verdict: 'skipped',
    step: 'policy',
    meaning: 'A CORS preflight, which browsers send without a token.',
    remedy: 'Nothing; put Envoy’s CORS filter before ext_authz to answer it there.',
  },
  unknown_policy: {
    verdict: 'unverified',
    step: 'policy',
    meaning: 'Envoy named a policy in `context_extensions` that is not configured.',
    remedy: 'Add the policy here, or correct `approov_policy` in Envoy’s route.',
  },
  missing_approov_token: {
    verdict: 'unverified',
    step: 'token',
    meaning: 'No token: the header is absent, empty, or has an SDK status word.',
    remedy:
      'See `approov_sdk_status_total`; otherwise a client without the SDK, or a header that Envoy does not pass on (`allowed_headers`).',
  },
  duplicate_approov_token: {
    verdict: 'unverified',
    step: 'token',
    meaning: 'More than one token in the request.',
    remedy: 'Find the client or proxy that adds a second header; neither is used.',
  },
  invalid_token_format: {
    verdict: 'unverified',
    step: 'token',
    meaning: 'Not a compact JWS of JSON objects in strict base64url, or over 8 KiB.',
    remedy: 'Look at what the client sends; a prefix such as `Bearer ` needs `tokenPrefix`.',
  },
  unsupported_token_algorithm: {
    verdict: 'unverified',
    step: 'key',
    meaning: 'No key allows the token’s `alg`, it has `crit`, or it is encrypted and no key decrypts it.',
    remedy: 'Compare the logged `alg` with the `algorithms` of the keys; `none` is an attack.',
  },
  unknown_key_id: {
    verdict: 'unverified',
    step: 'key',
    meaning: 'The token’s `kid` names no key, and every key declares a different one.',
    remedy: 'Add the key with the logged `kid`: Approov may have started a rotation.',
  },
  invalid_token_signature: {
    verdict: 'unverified',
    step: 'signature',
    meaning:
      'No configured key verifies the signature: a failed attestation or a forgery, which look the same.',
    remedy:
      'If all tokens fail, the secret is not this account’s; otherwise look up `unverified_arc` in Approov.',
  },
  missing_expiry: {
    verdict: 'unverified',
    step: 'lifetime',
    meaning: '`exp` is missing or not a number.',
    remedy: 'Approov always sets it: find out who else signs with this secret.',
  },
  token_expired: {
    verdict: 'unverified',
    step: 'lifetime',
    meaning: '`exp` has passed.',
    remedy:
      'Check this machine’s clock, then `approov_token_remaining_seconds`; a client may keep tokens too long.',
  },
  token_not_yet_valid: {
    verdict: 'unverified',
    step: 'lifetime',
    meaning: '`nbf` is in the future or not a number.',
    remedy: 'Check this machine’s clock; raise `clockToleranceSeconds` by a few seconds.',
  },
  claim_mismatch: {
    verdict: 'unverified',
    step: 'claims',
    meaning: '`iss` or `aud` is not what the policy requires.',
    remedy:
      'Turn the claim on in Approov (`approov policy -setIssuer on`, `-setAudience on`), or correct the policy.',
  },
  missing_pay_claim: {
    verdict: 'unverified',
    step: 'binding',
    meaning: 'The policy requires binding and the token is not bound.',
    remedy:
      'Let the app bind its tokens, or use `when: if-present` (Approov’s failover tokens are never bound).',
  },
  missing_binding_header: {
    verdict: 'unverified',
    step: 'binding',
    meaning:
      'The token is bound to a header that is absent, blank or repeated (an empty header may be bound under `if-present`).',
    remedy:
      'Expected after a logout; otherwise make sure that Envoy passes the header on (`allowed_headers`).',
  },
  binding_mismatch: {
    verdict: 'unverified',
    step: 'binding',
    meaning: 'The token was bound to other header values.',
    remedy:
      'Usual causes: a stolen token, a filter before ext_authz that rewrites the header, or a different order of `headers`.',
  },
  missing_message_signature: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'A required signature is missing.',
    remedy:
      'Usual causes: an app that does not sign yet, a stolen token, or headers that Envoy does not pass on (`allowed_headers`).',
  },
  invalid_message_signature: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'A signature is malformed, or its key did not sign this request.',
    remedy:
      'See the logged `signature_problem`; `explain` shows what should have been signed. Usual causes: a filter before ext_authz rewrites the path, host or headers, or the request comes from another device.',
  },
  message_signature_expired: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'A signature was made too long ago or in the future, or its `expires` has passed.',
    remedy:
      'Check this machine’s clock; clocks of devices differ too (`clockToleranceSeconds`). Otherwise, the request was kept and sent again.',
  },
  missing_signed_components: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'A signature does not cover all that the policy requires.',
    remedy: 'Compare the app’s signing settings with `requiredComponents` and `contentDigest`.',
  },
  content_digest_mismatch: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'The body is not the one that was signed, or is not there in full.',
    remedy:
      'Let Envoy send the body (`with_request_body`, `pack_as_bytes`, `max_request_bytes`); otherwise it was changed in transit.',
  },
  message_replayed: {
    verdict: 'unverified',
    step: 'message_signature',
    meaning: 'Another request with the same signature came before.',
    remedy:
      'Usual causes: a client or proxy sends a request twice without signing it again, or it is a replay.',
  },
  internal_error: {
    verdict: 'unverified',
    step: undefined,
    meaning: 'The service could not decide; not the client’s fault.',
    remedy: 'See ApproovInternalErrors in the runbook.',
  },
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

export const REASON_NAMES = Object.keys(REASONS) as Reason[];
