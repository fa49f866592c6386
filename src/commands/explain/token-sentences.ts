/** Puts into sentences what the token header had in it. */
import { plural } from '../../rollout/words.ts';
import type { TokenFacts } from './token-facts.ts';
import { MISTAKES, type TokenForm } from './token-form.ts';
import { list } from './values.ts';

export function tokenSentences(facts: TokenFacts): readonly string[] {
  const { token, sdk_status, found_in } = facts;
  return [
    ...(token === null ? [withoutToken(facts)] : formSentences(token, facts)),
    ...(sdk_status === null ? [] : statusSentences(sdk_status, token !== null)),
    ...(found_in.length === 0
      ? []
      : [`a token is in ${list(found_in, 'and')} instead, which this policy does not read (tokenHeader)`]),
  ];
}

function statusSentences(
  { word, meaning, fix_by }: NonNullable<TokenFacts['sdk_status']>,
  hasToken: boolean,
): readonly string[] {
  if (hasToken) return [`Approov-Status says \`${word}\``];
  return [
    word === 'other' ? `the word is ${meaning}` : `\`${word}\`: ${meaning}`,
    `who can fix it: ${fix_by}`,
  ];
}

const WITHOUT: Readonly<Record<Exclude<TokenFacts['state'], 'token'>, string>> = {
  absent: 'absent (give it with --token)',
  empty: 'empty',
  status_word: 'a status word in place of a token',
  several: 'more than one token; none is used',
  json: 'JSON, such as the loggable form that SDKs log, which is not a token; its commas look like those between two tokens',
};

function withoutToken({ header, state, occurrences }: TokenFacts): string {
  const text = state === 'token' ? '' : WITHOUT[state];
  const how =
    state !== 'several'
      ? ''
      : occurrences > 1
        ? ` (the header occurs ${occurrences} times)`
        : ' (joined by a comma)';
  return `header ${header}: ${text}${how}`;
}

const FORMS: Readonly<Record<TokenForm['form'], (size: string) => string>> = {
  signed: (size) => `a signed token (JWS) of ${size}`,
  encrypted: (size) => `an encrypted token (JWE) of ${size}`,
  malformed: (size) => `${size} that are not a token`,
};

function formSentences(token: TokenForm, { header, prefix }: TokenFacts): readonly string[] {
  const { form, characters, mistakes, well_formed_without, defect } = token;
  return [
    `header ${header}: ${FORMS[form](plural(characters, 'character'))}`,
    ...mistakes.map((mistake) =>
      mistake === 'prefix' ? `it has ${prefixText(prefix)}` : `it has ${MISTAKES[mistake]}`,
    ),
    ...(well_formed_without ? ['without that, it would be a token'] : []),
    ...(defect === null ? [] : [defect]),
  ];
}

function prefixText(configured: string): string {
  return configured === ''
    ? 'a prefix such as `Bearer `, and the policy has no tokenPrefix'
    : 'a prefix besides the one that tokenPrefix names';
}
