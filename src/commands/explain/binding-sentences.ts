/** Puts into sentences how the token is bound, and to what. */
import type { BindingFacts } from './binding-facts.ts';
import { list } from './values.ts';

export function bindingSentences(facts: BindingFacts): readonly string[] {
  const { when, headers, pay, matches, hash_in_token, hash_of_headers, mismatch } = facts;
  if (when === null) {
    return [`not checked: the policy has no \`binding\`${pay === 'absent' ? '' : '; the token has `pay`'}`];
  }
  if (pay === 'absent') {
    return [
      `the token has no \`pay\` claim, which \`when: ${when}\` ${when === 'required' ? 'refuses' : 'accepts'}`,
    ];
  }
  if (pay === 'not_string') return ['the `pay` claim is not a string, or it is empty'];
  const names = list(
    headers.map(({ name }) => name),
    'and',
  );
  if (matches) {
    const how = hash_in_token === hash_of_headers ? '' : ', though in base64url or without padding';
    return [`\`pay\` is the hash of ${names}${how}: ${hash_in_token}`];
  }
  const unusable = headers.filter(({ state }) => state !== 'present');
  return [
    `\`pay\` has the hash ${hash_in_token}`,
    ...(unusable.length === 0
      ? [`${names} ${headers.length === 1 ? 'has' : 'have'} the hash ${hash_of_headers}`]
      : []),
    ...unusable.map(stateText),
    ...(mismatch === null ? [] : [`the hash in the token matches ${mismatch}`]),
  ];
}

function stateText({ name, state }: BindingFacts['headers'][number]): string {
  switch (state) {
    case 'absent':
      return `header ${name}: absent; give it with --header '${exampleOf(name)}'`;
    case 'repeated':
      return `header ${name}: repeated, so that none of its values is used`;
    default:
      return `header ${name}: ${state}`;
  }
}

function exampleOf(name: string): string {
  return name === 'authorization' ? 'Authorization: Bearer …' : `${name}: …`;
}
