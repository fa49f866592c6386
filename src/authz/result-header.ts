/** Names the headers that give the upstream the outcome. A client must never be able to set one. */
import { FORWARDABLE_CLAIMS, type ForwardableClaim } from './policy.ts';

export const VERDICT_HEADER = 'x-approov-verdict';
export const ACTION_HEADER = 'x-approov-action';
export const REASON_HEADER = 'x-approov-reason';

export function claimHeader(claim: ForwardableClaim): string {
  return `x-approov-${claim}`;
}

/** All nine: each is set or removed on every allowed request. */
export const RESULT_HEADERS: readonly string[] = [
  VERDICT_HEADER,
  ACTION_HEADER,
  REASON_HEADER,
  ...FORWARDABLE_CLAIMS.map(claimHeader),
];

/**
 * Every other name that becomes one of ours when `_` is read as `-`, as WSGI, CGI and PHP do: three for each, since a
 * name has two hyphens.
 */
export const RESULT_HEADER_ALIASES: readonly string[] = RESULT_HEADERS.flatMap((name) => {
  const [x, approov, what] = name.split('-');
  return [`${x}_${approov}-${what}`, `${x}-${approov}_${what}`, `${x}_${approov}_${what}`];
});

/** Whether a lower-case name is one of ours or an alias. */
export function isResultHeader(name: string): boolean {
  return RESULT_HEADERS.includes(name.replaceAll('_', '-'));
}
