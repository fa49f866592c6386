/** Lists what the problems of signatures mean, for people. */
import type { LifetimeProblem } from './signature-lifetime.ts';
import type { SignatureProblem } from './verify-signature.ts';

export const PROBLEM_MEANINGS = {
  malformed: '`Signature-Input` or `Signature` is not a dictionary of structured fields',
  duplicate_key: '`Signature-Input` or `Signature` has the same label twice',
  too_long: '`Signature-Input` is over 4 KiB, or `Signature` over 8 KiB',
  too_many_members: '`Signature-Input` or `Signature` has more than 8 labels',
  unpaired_label: 'the label is in only one of `Signature-Input` and `Signature`',
  not_an_inner_list: 'the member of `Signature-Input` is not a list of components in parentheses',
  too_many_components: 'more than 32 components are covered',
  unsupported_component: 'a covered component, or a parameter of one, is not supported',
  duplicate_component: 'a component is covered twice',
  missing_created: 'the parameter `created` is missing',
  malformed_parameter: '`created` or `expires` is not a whole number, or `alg` is not a string',
  wrong_algorithm: '`alg` is not the algorithm of this kind of signature',
  wrong_form: 'the signature does not have the form or the length that its algorithm gives it',
  no_key: 'the token names no usable key: no `ipk` with a P-256 key, or no account key with its `mskid`',
  missing_component:
    'the request does not have every covered component, or its host or path is not that of a URL',
  not_verified: 'the key did not sign this request: it was changed, or was signed by another key',
  too_many_verifications: 'the check reached its limit of public-key verifications',
  created_in_the_future: '`created` is in the future: compare the clocks',
  too_old: '`created` is longer ago than `maxAgeSeconds`',
  expired: '`expires` has passed',
} as const satisfies Readonly<Record<SignatureProblem | LifetimeProblem, string>>;
