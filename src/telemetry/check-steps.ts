/** Describes what each step of a check found, for the debug log; never a token, a secret or a bound value. */
import { failureDetails } from '../approov/message-signature/verify-message-signature.ts';
import type { Decision } from '../authz/decide.ts';
import type { PolicyTable } from '../authz/policy.ts';
import type { CheckRecord } from './check-observer.ts';
import { clip } from './printable.ts';

/**
 * A step that was not reached is `undefined`.
 * @param table of the policies; `undefined` if it is not known yet.
 */
export function describeSteps(
  { request, decision }: CheckRecord,
  table: Pick<PolicyTable, 'defaultPolicy'> | undefined,
): object {
  return {
    stopped_by: decision.step,
    steps: {
      policy: request && { chosen_by: choiceOf(request.policyName, decision, table) },
      token: tokenStep(decision),
      key: keyStep(decision),
      lifetime: lifetimeStep(decision),
      claims: claimsStep(decision),
      binding: bindingStep(decision),
      message_signature: messageSignatureStep(decision),
    },
  };
}

/** `default` also where a route names the default policy. */
function choiceOf(
  named: string | undefined,
  { policy }: Decision,
  table: Pick<PolicyTable, 'defaultPolicy'> | undefined,
): 'envoy' | 'route' | 'default' {
  if (named !== undefined && (policy === undefined || policy.name === named)) return 'envoy';
  return policy?.name === table?.defaultPolicy.name ? 'default' : 'route';
}

function tokenStep(decision: Decision): object | undefined {
  const { policy, step } = decision;
  if (policy === undefined || step === 'policy') return undefined;
  return { header: policy.tokenHeader, form: formOf(decision) };
}

function formOf({ presentedToken, reason }: Decision): string {
  if (presentedToken !== undefined) return presentedToken.parsed?.kind ?? 'malformed';
  return reason === 'duplicate_approov_token' ? 'duplicate' : 'none';
}

function keyStep({ facts: { key } }: Decision): object | undefined {
  return key && { key_ids: key.keyIds, algorithms: key.algorithms };
}

function lifetimeStep({ facts: { lifetime } }: Decision): object | undefined {
  return (
    lifetime && {
      exp: claim(lifetime.exp),
      nbf: claim(lifetime.nbf),
      now: lifetime.nowSeconds,
      clock_tolerance_seconds: lifetime.clockToleranceSeconds,
    }
  );
}

function claimsStep({ facts: { claims } }: Decision): object | undefined {
  return (
    claims && {
      iss: claim(claims.iss),
      aud: claim(claims.aud),
      expected_issuer: claims.expectedIssuer ?? undefined,
      // With `audience: host`, the host is the client's, but a valid one.
      expected_audience: claims.expectedAudience ?? undefined,
    }
  );
}

function bindingStep({ facts: { binding } }: Decision): object | undefined {
  return (
    binding && {
      has_pay: binding.hasPay,
      headers: Object.fromEntries(binding.headers.map(({ name, state }) => [name, state])),
    }
  );
}

function messageSignatureStep({ facts: { messageSignature, nowSeconds = 0 } }: Decision): object | undefined {
  if (messageSignature === undefined) return undefined;
  const { result, replay } = messageSignature;
  if (result.kind === 'not_required') return { required: false };
  const failure = result.kind === 'failed' ? failureDetails(result.failure) : undefined;
  return {
    required: true,
    label: failure?.label,
    problem: failure?.problem,
    missing_components: failure?.components,
    verified: result.signatures.map(({ label: verified, key, input, reading }) => ({
      label: verified,
      key_id: key.keyId,
      age_seconds: nowSeconds - input.created,
      components: input.components.map(({ name }) => clip(name)),
      reading,
    })),
    content_digest: result.kind === 'verified' ? result.contentDigest : undefined,
    body: messageSignature.request.body.kind,
    replay,
  };
}

/** A number as it is; a string cut short; anything else as cut JSON. */
function claim(value: unknown): unknown {
  if (value === undefined || typeof value === 'number') return value;
  return clip(typeof value === 'string' ? value : JSON.stringify(value));
}
