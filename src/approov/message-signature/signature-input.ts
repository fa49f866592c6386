/** Reads a member of Signature-Input (RFC 9421 §4.1): the covered components and the signature parameters (§2.3). */
import type { InnerList, Item, Parameters } from 'structured-headers';
import { type Component, parseComponent } from './component.ts';
import type { Member } from './dictionary.ts';

export interface SignatureInput {
  /** The member as received: the value of `@signature-params`. */
  readonly text: string;
  readonly components: readonly Component[];
  readonly names: ReadonlySet<string>;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number | undefined;
  /** `undefined`: the type of the key decides. */
  readonly algorithm: string | undefined;
}

export type SignatureInputProblem =
  | 'not_an_inner_list'
  | 'too_many_components'
  | 'unsupported_component'
  | 'duplicate_component'
  | 'missing_created'
  | 'malformed_parameter';

type SignatureInputResult =
  | { readonly kind: 'input'; readonly input: SignatureInput }
  | { readonly kind: 'invalid'; readonly problem: SignatureInputProblem };

export const MAX_COMPONENTS = 32;

export function parseSignatureInput({ text, value }: Member): SignatureInputResult {
  if (!isInnerList(value)) return invalid('not_an_inner_list');
  const [items, parameters] = value;
  if (items.length > MAX_COMPONENTS) return invalid('too_many_components');
  const components = items.map(parseComponent).filter((component) => component !== undefined);
  if (components.length < items.length) return invalid('unsupported_component');
  const identifiers = new Set(components.map(({ identifier }) => identifier));
  if (identifiers.size < components.length) return invalid('duplicate_component');
  const names = new Set(components.map(({ name }) => name));

  const { created, expires, algorithm } = readParameters(parameters);
  if (created === undefined) return invalid('missing_created');
  if (!isTime(created) || (expires !== undefined && !isTime(expires))) return invalid('malformed_parameter');
  if (algorithm !== undefined && typeof algorithm !== 'string') return invalid('malformed_parameter');
  return { kind: 'input', input: { text, components, names, created, expires, algorithm } };
}

function invalid(problem: SignatureInputProblem): SignatureInputResult {
  return { kind: 'invalid', problem };
}

function isInnerList(value: Item | InnerList): value is InnerList {
  return Array.isArray(value[0]);
}

/** All other parameters are ignored; they are covered all the same. */
function readParameters(
  parameters: Parameters,
): Readonly<Record<'created' | 'expires' | 'algorithm', unknown>> {
  return {
    created: parameters.get('created'),
    expires: parameters.get('expires'),
    algorithm: parameters.get('alg'),
  };
}

function isTime(value: unknown): value is number {
  return Number.isInteger(value);
}
