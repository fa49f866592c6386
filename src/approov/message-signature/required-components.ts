/** Checks that a signature covers the components that the policy requires. */
import type { MessageSignatureOptions } from './options.ts';
import type { SignatureInput } from './signature-input.ts';
import { queryOf, type SignedRequest } from './signed-request.ts';

/**
 * The required components that are not covered. By default: `@method`, the token header, and the target: `@target-uri`,
 * or the parts that it is made of.
 */
export function missingComponents(
  { names }: SignatureInput,
  { requiredComponents, tokenHeader }: MessageSignatureOptions,
  request: SignedRequest,
): readonly string[] {
  const required =
    requiredComponents === 'default'
      ? ['@method', ...target(names, request), tokenHeader]
      : requiredComponents;
  return required.filter((name) => !names.has(name));
}

function target(names: ReadonlySet<string>, { path }: SignedRequest): readonly string[] {
  const query = queryOf(path) === undefined ? [] : ['@query'];
  const parts = ['@authority', '@path', ...query];
  return names.has('@target-uri') || !parts.some((name) => names.has(name)) ? ['@target-uri'] : parts;
}
