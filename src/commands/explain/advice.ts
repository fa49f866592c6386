/** Lists what the two people who ask for an explanation can do, by reason. */
import type { Reason } from '../../authz/reason.ts';

interface Advice {
  readonly app_developer: string;
  readonly on_call: string;
}

/** `null`: nothing has to be done. */
export const ADVICE: Readonly<Record<Reason, Advice | null>> = {
  ok: null,
  policy_off: {
    app_developer: 'Nothing to do: this API does not require a token here.',
    on_call: 'Nothing to do if the route is meant to be open; otherwise change its policy.',
  },
  cors_preflight: {
    app_developer: 'Nothing to do: browsers send a preflight without a token.',
    on_call: 'Nothing to do. Envoy’s CORS filter, before ext_authz, could answer it.',
  },
  unknown_policy: {
    app_developer: 'Nothing to do: this is a mistake in the API’s configuration.',
    on_call: 'Correct `approov_policy` in Envoy’s route, or add the policy to the configuration here.',
  },
  missing_approov_token: {
    app_developer:
      'Send the request through the Approov service layer, to a domain that is added to the Approov account. A status word says what kept the SDK from getting a token.',
    on_call:
      'If all requests are like this, Envoy does not pass the header on (`allowed_headers`), or a filter before ext_authz removes it. If some are, see which app versions they come from.',
  },
  duplicate_approov_token: {
    app_developer: 'Add the token once: the Approov service layer already adds it to each request.',
    on_call: 'Look for a proxy or filter that adds the header again.',
  },
  invalid_token_format: {
    app_developer: 'Send the token as the SDK returns it: no quotes, no encoding, nothing cut off.',
    on_call:
      'If a prefix such as `Bearer ` is meant to be there, set `tokenPrefix`. Otherwise look for a proxy or filter that changes the header.',
  },
  unsupported_token_algorithm: {
    app_developer: 'Send the token that the Approov SDK returns, and no other JWT.',
    on_call:
      'If Approov signs this API’s tokens with this `alg`, add it to `algorithms` of the key, or add the key. `none` is an attack.',
  },
  unknown_key_id: {
    app_developer: 'Send the token that the Approov SDK returns, and no other JWT.',
    on_call:
      'If Approov uses this `kid`, add the key: a rotation may have begun. Otherwise the token is not ours.',
  },
  invalid_token_signature: {
    app_developer:
      'Look up the ARC in Approov. Usual causes: this build is not registered there, or the device is an emulator, rooted or being debugged.',
    on_call:
      'If all tokens fail, the secret here is not the Approov account’s: compare fingerprints. If only some fail, these are failed attestations or forgeries, and refusing them is right.',
  },
  missing_expiry: {
    app_developer: 'Send the token that the Approov SDK returns: it always has `exp`.',
    on_call: 'Find out who else signs tokens with this secret.',
  },
  token_expired: {
    app_developer:
      'Ask the SDK for a token before each request, and again before a retry. Do not keep tokens.',
    on_call:
      'Compare this machine’s clock with the true time (`date -u`). If it is right, the client kept the token too long.',
  },
  token_not_yet_valid: {
    app_developer: 'Nothing to do: the app does not choose `nbf`.',
    on_call:
      'This machine’s clock is probably slow: compare it with the true time (`date -u`). For a few seconds, set `clockToleranceSeconds`.',
  },
  claim_mismatch: {
    app_developer: 'Check that the app uses the Approov account and the domain that belong to this API.',
    on_call:
      'Turn the claim on in Approov (`approov policy -setIssuer on`, `-setAudience on`), or correct `issuer` or `audience` of the policy.',
  },
  missing_pay_claim: {
    app_developer:
      'Bind the token: `setBindingHeader` in the service layer, before the first request that needs it.',
    on_call:
      'Until all app versions bind, use `when: if-present`. Approov’s failover tokens are never bound.',
  },
  missing_binding_header: {
    app_developer:
      'Send the header that the token was bound to. After a logout, bind to another value: a binding can be changed, not removed.',
    on_call:
      'If all requests are like this, Envoy does not pass the header on (`allowed_headers`), or a filter before ext_authz removes it.',
  },
  binding_mismatch: {
    app_developer:
      'Bind to the whole value of the header, `Bearer ` included, and update the binding when the value changes.',
    on_call:
      'Look for a filter before ext_authz that rewrites the header, and compare `binding.headers` with the app’s order. Otherwise the token may be stolen.',
  },
  missing_message_signature: {
    app_developer:
      'Switch message signing on in the service layer, and send the request through it. Without it, a token alone is not enough here.',
    on_call:
      'If all requests are like this, Envoy does not pass `signature` and `signature-input` on (`allowed_headers`). If some are, see which app versions they come from. Else the token may be stolen.',
  },
  invalid_message_signature: {
    app_developer:
      'Sign what is sent: a change of the URL or of a covered header after signing makes the signature invalid. In debug mode, compare `Signature-Base-Digest` with the digest above.',
    on_call:
      'Look for a proxy or filter before ext_authz that rewrites path, host or headers, and set `externalScheme` and `externalHost` to what clients request. Else the token may be stolen.',
  },
  message_signature_expired: {
    app_developer: 'Sign each request when it is sent, and again before a retry.',
    on_call:
      'Compare this machine’s clock with the true time (`date -u`). The clocks of devices differ too: see `clockToleranceSeconds`.',
  },
  missing_signed_components: {
    app_developer:
      'Let the service layer sign the method, the token header and the URL, as it does by default, and the body if the API requires it.',
    on_call: 'If the app is right, correct `requiredComponents` or `contentDigest` of the policy.',
  },
  content_digest_mismatch: {
    app_developer: 'Send the body as it was signed.',
    on_call:
      'Let Envoy send the whole body (`with_request_body` with `pack_as_bytes`, and a `max_request_bytes` that is large enough). Else it was changed on the way.',
  },
  message_replayed: {
    app_developer: 'Sign again before a retry: a signature is accepted once.',
    on_call:
      'Look for a proxy that sends requests again, or that asks this service twice. If there is none, these are replays, and refusing them is right.',
  },
  internal_error: {
    app_developer: 'Nothing to do: the service could not judge the token.',
    on_call: 'See ApproovInternalErrors in the runbook.',
  },
};
