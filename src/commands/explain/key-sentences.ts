/** Puts into sentences which keys could verify the token, and whether one did. */
import { MAX_PUBLIC_KEY_VERIFICATIONS } from '../../approov/keyset.ts';
import type { KeyFacts, SignatureFacts } from './key-facts.ts';
import { bare, list, quote } from './values.ts';

type Described = KeyFacts['keys'][number];

export function keySentences(facts: KeyFacts): readonly string[] {
  const { encryption, alg, problem, foreign } = facts;
  const header = encryption !== null && alg === undefined ? [] : [headerText(facts)];
  return [
    ...(encryption === null ? [] : [`encrypted: ${headerText(encryption)}, enc ${bare(encryption.enc)}`]),
    ...(encryption === null || problem === 'not_decrypted' ? [] : ['decrypted']),
    ...(problem === null
      ? joined([...header, ...candidates(facts)])
      : [...header, ...PROBLEMS[problem](facts), ...foreignSentences(foreign)]),
  ];
}

function headerText({ alg, kid }: Pick<KeyFacts, 'alg' | 'kid'>): string {
  return `alg ${bare(alg)}, ${kid === undefined ? 'no kid' : `kid ${quote(kid)}`}`;
}

function joined(parts: readonly string[]): readonly string[] {
  return parts.length === 0 ? [] : [parts.join(': ')];
}

function candidates({ keys }: KeyFacts): readonly string[] {
  const ids = [...new Set(keys.map(({ id }) => id))];
  if (ids.length === 0) return [];
  return [`${ids.length === 1 ? 'key' : 'keys'} ${list(ids, 'and')} may verify it`];
}

const PROBLEMS: Readonly<Record<NonNullable<KeyFacts['problem']>, (facts: KeyFacts) => readonly string[]>> = {
  not_signed: () => ['the token is not signed, which is never accepted'],
  critical_extension: () => ['its header has `crit`: it needs an extension that is not supported'],
  not_decrypted: ({ decryption_keys }) => [
    decryption_keys.length === 0
      ? 'it is encrypted, and no decryptionKeys are configured'
      : `it is encrypted, and no decryption key decrypts it (${decryption_keys.join(', ')})`,
  ],
  no_signature: () => ['the token is cut off: its third part, the signature, is empty'],
  keys_not_loaded: ({ keys_not_loaded }) => [
    keys_not_loaded.length === 0
      ? 'the service could not judge it'
      : `no loaded key may verify it, and the keys of ${list(keys_not_loaded, 'and')} are not loaded`,
  ],
  too_many_keys: ({ keys }) => [
    `${keys.length} public keys could verify it, and a check tries at most ${MAX_PUBLIC_KEY_VERIFICATIONS}; add a \`kid\` to select one`,
  ],
  no_key_for_kid: ({ kid, configured_keys }) => [
    kid === undefined
      ? 'no key is for this host:'
      : `no key${configured_keys.every(({ for_host }) => for_host) ? '' : ' for this host'} has this kid, and each has another:`,
    ...keyLines(configured_keys),
  ],
  no_key_for_alg: ({ keys }) => ['no key allows this alg:', ...keyLines(keys)],
};

/** Enough to find the mistake; a JWK Set may have many more. */
const MAX_KEYS = 10;

function keyLines(keys: readonly Described[]): readonly string[] {
  const lines = keys.slice(0, MAX_KEYS).map(keyLine);
  return keys.length > MAX_KEYS ? [...lines, `and ${keys.length - MAX_KEYS} more`] : lines;
}

function keyLine({ id, kid, algorithms, fingerprint, for_host }: Described): string {
  const kidText = kid === null ? '' : `, kid ${quote(kid)}`;
  return `- ${id} (${algorithms.join(', ')}${kidText}, fingerprint ${fingerprint}${for_host ? '' : ', not for this host'})`;
}

export function signatureSentences(facts: SignatureFacts): readonly string[] {
  const { verified_by, fingerprint, payload_is_object, encrypted, tried } = facts;
  if (!payload_is_object) {
    return [
      verified_by === null
        ? 'the content of the encrypted token is not a signed token'
        : `verified by key ${verified_by}, but the payload is not a JSON object`,
    ];
  }
  if (verified_by !== null) {
    const print = fingerprint === null ? '' : ` (fingerprint ${fingerprint})`;
    return [`${encrypted ? 'decrypted, and ' : ''}verified by key ${verified_by}${print}`];
  }
  return ['none of the keys tried verifies it:', ...keyLines(tried), ...causeSentences(facts)];
}

/** A failed attestation and a forgery look the same, so neither is claimed. */
function causeSentences(facts: SignatureFacts): readonly string[] {
  const { length_problem, key_warnings, foreign, unverified_arc, encrypted } = facts;
  if (length_problem !== null) return [length_problem];
  if (foreign.length > 0) return foreignSentences(foreign);
  return [
    ...key_warnings,
    'Two causes look alike: the app failed attestation (Approov signs such a token so that it does not verify), or the token was signed with a key that is not configured here: the secret here is wrong, or the token is forged.',
    'To see which, give it to `approov token -check`. If that accepts it, the key here is wrong: compare its fingerprint with the account’s (`base64 -d FILE | sha256sum | cut -c1-12`). If not, the app failed attestation, or the token is forged.',
    ...(encrypted ? [] : [arcSentence(unverified_arc)]),
  ];
}

function arcSentence(arc: unknown): string {
  return arc === undefined
    ? 'It has no `arc` claim that could be looked up in Approov.'
    : `Its ARC ${quote(arc)} (not verified) says why: look it up in Approov.`;
}

function foreignSentences(foreign: readonly string[]): readonly string[] {
  return foreign.length === 0
    ? []
    : [
        `it looks like a token for something else, such as a login, not Approov’s: it has ${list(foreign, 'and')}`,
      ];
}
