/** Gathers the facts of step binding: the hash in the token, the hash of the request, and how the two might differ. */
import { trimOws } from '../../approov/field-value.ts';
import { payClaim } from '../../approov/token-binding.ts';
import { type CheckRequest, headerValues } from '../../authz/check-request.ts';
import type { Decision } from '../../authz/decide.ts';
import type { Policy } from '../../authz/policy.ts';
import { clip } from '../../telemetry/printable.ts';
import { findMismatch } from './binding-mismatch.ts';

export interface BindingFacts {
  /** `null`: the policy checks no binding. */
  readonly when: 'if-present' | 'required' | null;
  readonly headers: readonly {
    readonly name: string;
    readonly state: 'present' | 'absent' | 'blank' | 'repeated';
  }[];
  readonly pay: 'absent' | 'not_string' | 'present';
  readonly matches: boolean;
  /** The `pay` claim. */
  readonly hash_in_token: string | null;
  /** Of the bound headers, in base64; `null` if one is absent or repeated. */
  readonly hash_of_headers: string | null;
  /** What the token's hash is the hash of instead, if that can be found. */
  readonly mismatch: string | null;
}

export function bindingFacts(decision: Decision, request: CheckRequest, policy: Policy): BindingFacts {
  const pay = decision.verifiedToken?.claims['pay'];
  const isText = typeof pay === 'string' && pay !== '';
  const headers = decision.facts.binding?.headers ?? [];
  const bound = (policy.binding?.headers ?? []).map((name) => ({
    name,
    value: readValue(headerValues(request, name)),
  }));
  const isFailure = decision.step === 'binding';
  return {
    when: policy.binding?.when ?? null,
    headers,
    pay: pay === undefined ? 'absent' : isText ? 'present' : 'not_string',
    matches: !isFailure && policy.binding !== null && isText,
    hash_in_token: isText ? clip(pay) : null,
    hash_of_headers: hashOf(bound.map(({ value }) => value)),
    mismatch: isFailure && isText ? (findMismatch(pay, bound, otherHeaders(request, policy)) ?? null) : null,
  };
}

function otherHeaders(request: CheckRequest, { binding }: Policy) {
  return [...request.allHeaders()]
    .filter(([name]) => binding?.headers.includes(name) !== true)
    .map(([name, values]) => ({ name, value: readValue(values) }));
}

/** As a check reads it; `undefined` if the header is absent or repeated. */
function readValue(values: readonly Buffer[]): Buffer | undefined {
  const [value] = values;
  return value === undefined || values.length > 1 ? undefined : trimOws(value);
}

function hashOf(values: readonly (Buffer | undefined)[]): string | null {
  const present = values.filter((value) => value !== undefined);
  return present.length === 0 || present.length < values.length ? null : payClaim(present);
}
