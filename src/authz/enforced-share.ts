/** Applies `enforcePercent`: whether a check is enforced or only observed, by the device that it comes from. */
import { trimOws } from '../approov/field-value.ts';
import { placeOf } from '../approov/text-place.ts';
import { type CheckRequest, HEADERS_READ, headerValues } from './check-request.ts';
import type { Policy } from './policy.ts';
import type { StepsResult } from './steps.ts';
import type { Mode } from './verdict.ts';

type SharedPolicy = Pick<Policy, 'mode' | 'enforcePercent'>;

/** Where a device is in [0, 1). A share begins at 0, so raising it keeps the devices that it has. */
interface DevicePlace {
  readonly by: 'did' | 'address';
  readonly place: number;
}

/** The policy itself; its twin in mode `observe` if the device is outside the share that is enforced. */
export function policyInEffect(result: StepsResult): Policy {
  const { policy } = result;
  if (policy.enforcePercent === undefined) return policy;
  // A device that cannot be told from others is the first to be enforced.
  return policyInMode(policy, modeAt(policy, devicePlace(result)?.place ?? 0));
}

/** @param mode one of those that can be in effect. */
export function policyInMode(policy: Policy, mode: Mode): Policy {
  return mode === policy.mode ? policy : observed(policy);
}

/** The mode in effect for the devices at a place. */
export function modeAt({ mode, enforcePercent = 100 }: SharedPolicy, place: number): Mode {
  return place < enforcePercent / 100 ? mode : 'observe';
}

/** The modes that can be in effect for some device. */
export function modesInEffect({ mode, enforcePercent = 100 }: SharedPolicy): readonly Mode[] {
  return [...(enforcePercent > 0 ? [mode] : []), ...(enforcePercent < 100 ? (['observe'] as const) : [])];
}

/**
 * By the token's `did`, verified or not, as all requests of a device have it; else by the address of the client.
 * `undefined` if neither is known.
 */
export function devicePlace({ context, presentedToken, tokenResult }: StepsResult): DevicePlace | undefined {
  const { did } = (tokenResult?.kind === 'verified' ? tokenResult.token : presentedToken)?.claims ?? {};
  if (typeof did === 'string' && did !== '') return { by: 'did', place: placeOf(did) };
  const address = clientAddress(context.request);
  return address === '' ? undefined : { by: 'address', place: placeOf(address) };
}

/** As Envoy knows it: the peer of its connection may be a proxy. */
function clientAddress(request: CheckRequest): string {
  const [external] = headerValues(request, HEADERS_READ.externalAddress);
  return (external && trimOws(external).toString('latin1')) || request.sourceAddress;
}

const twins = new WeakMap<Policy, Policy>();

/** Always the same twin, since responses are encoded once for each policy. */
function observed(policy: Policy): Policy {
  const known = twins.get(policy);
  if (known !== undefined) return known;
  const twin: Policy = { ...policy, mode: 'observe' };
  twins.set(policy, twin);
  return twin;
}
