/** Warns of policies whose tokens Envoy would accept although the service refuses them, or the other way round. */
import type { Policy, PolicyTable } from '../../authz/policy.ts';
import type { Problem } from '../../config/config.ts';

interface Difference {
  readonly field: string;
  isIn(policy: Policy): boolean;
  readonly remedy: string;
}

const EXCLUDE = 'exclude its routes from jwt_authn';

const DIFFERENCES: readonly Difference[] = [
  {
    field: 'mode',
    isIn: ({ mode }) => mode === 'observe' || mode === 'limit',
    remedy:
      'requests that Envoy verifies are missing from its counts, so its share of unverified ones is too high',
  },
  {
    field: 'tokenHeader',
    isIn: ({ tokenHeader }) => tokenHeader !== 'approov-token',
    remedy: 'name it in the provider (from_headers) and in the matcher of jwt_authn',
  },
  {
    field: 'tokenPrefix',
    isIn: ({ tokenPrefix }) => tokenPrefix !== '',
    remedy: 'name it in the provider (from_headers) and in the matcher of jwt_authn',
  },
  {
    field: 'binding',
    isIn: ({ binding }) => binding?.when === 'required',
    remedy: `Envoy accepts tokens without a binding: ${EXCLUDE}`,
  },
  {
    field: 'issuer',
    isIn: ({ issuer }) => issuer !== null,
    remedy: `Envoy accepts every issuer, unless its provider names one: ${EXCLUDE}`,
  },
  {
    field: 'audience',
    isIn: ({ audience }) => audience !== null,
    remedy: `Envoy accepts every audience, unless its provider names some: ${EXCLUDE}`,
  },
  {
    field: 'forwardToken',
    isIn: ({ forwardToken }) => !forwardToken,
    remedy: 'set `forward: false` in the provider',
  },
  {
    field: 'messageSignature',
    isIn: ({ messageSignature }) =>
      messageSignature?.install === 'required' || messageSignature?.account === 'required',
    remedy: `Envoy accepts unsigned requests whose token has neither ipk nor mskid: ${EXCLUDE}`,
  },
];

export function policyWarnings({ policies }: PolicyTable): readonly Problem[] {
  return [...policies.values()].flatMap((policy) =>
    policy.mode === 'off'
      ? []
      : DIFFERENCES.filter(({ isIn }) => isIn(policy)).map(({ field, remedy }) => ({
          path: `policies.${policy.name}.${field}`,
          message: remedy,
        })),
  );
}
