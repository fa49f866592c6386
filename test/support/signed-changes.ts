/** Changes signed requests in one part that the signature covers, so that they stay well-formed. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { SignatureLabel } from '../../src/approov/message-signature/signature-kind.ts';
import { FULL, PATH_CHARACTER, SIGNED_BY, signHonest } from './honest-requests.ts';
import { byteSequence } from './message-signature.ts';
import type { Sent } from './signed-traffic.ts';
import { freshToken } from './token.ts';

type Change = (sent: Sent) => Sent;

/** One other character: replaced, inserted, or none. */
function otherText(characters: string, isValid: RegExp): fc.Arbitrary<(text: string) => string> {
  const pick = fc.record({
    place: fc.nat(),
    kind: fc.constantFrom('replace', 'insert', 'remove'),
    character: fc.constantFrom(...characters),
  });
  return fc.array(pick, { minLength: 40, maxLength: 40 }).map((picks) => (text) => {
    for (const { place, kind, character } of picks) {
      const start = place % (text.length + (kind === 'insert' ? 1 : 0));
      const inserted = kind === 'remove' ? '' : character;
      const changed = text.slice(0, start) + inserted + text.slice(kind === 'insert' ? start : start + 1);
      if (changed !== text && isValid.test(changed)) return changed;
    }
    return `${text}x`;
  });
}

const WHOLE_PATH = new RegExp(`^(?:/${PATH_CHARACTER}(?:${PATH_CHARACTER}|\\.)*)+/?$`);
const VISIBLE = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index));
const WHOLE_VALUE = /^[!-~](?:[ -~]*[!-~])?$/;

const other = {
  method: otherText('ABCDEFGHIJKLMNOPQRSTUVWXYZ', /^[A-Z]+$/),
  path: otherText("AZaz09_~!$&'()*+,;=:@-./", WHOLE_PATH),
  query: otherText(VISIBLE.replace('#', ''), /^[^#]*$/),
  value: otherText(VISIBLE, WHOLE_VALUE),
};

const changeHeader =
  (name: string, change: (value: string) => string): Change =>
  (sent) => ({
    ...sent,
    headers: { ...sent.headers, [name]: change(sent.headers[name] ?? '') },
  });

const SHIFT = fc.integer({ min: -40, max: 40 }).filter((seconds) => seconds !== 0);

const shift =
  (parameter: string, seconds: number) =>
  (input: string): string =>
    input.replace(new RegExp(`(?<=;${parameter}=)\\d+`), (time) => `${Number(time) + seconds}`);

const covered = (change: (names: readonly string[]) => readonly string[]): Change =>
  changeHeader('signature-input', (input) =>
    input.replace(/(?<=\()[^)]*/, (list) => change(list.split(' ')).join(' ')),
  );

const SIGNATURE_BYTES = { install: 64, account: 32 };

function labelOf({ headers }: Sent): SignatureLabel {
  return headers['signature']?.startsWith('install=') ? 'install' : 'account';
}

/** By the part that changes. Every result is a well-formed request with well-formed signature headers. */
export const CHANGES: Readonly<Record<string, fc.Arbitrary<Change>>> = {
  '@method': other.method.map((change) => (sent) => ({ ...sent, method: change(sent.method) })),
  '@authority': fc
    .constantFrom('api.example.org', 'api.example.com:8444', 'a.example.com', '192.0.2.2', '[2001:db8::2]')
    .map((authority) => (sent) => ({ ...sent, authority })),
  '@path': other.path.map((change) => (sent) => {
    const [path = '', ...query] = sent.path.split(/(?=\?)/);
    return { ...sent, path: change(path) + query.join('') };
  }),
  '@query': other.query.map((change) => (sent) => {
    const mark = sent.path.indexOf('?') + 1;
    return { ...sent, path: sent.path.slice(0, mark) + change(sent.path.slice(mark)) };
  }),
  'approov-token, for another one that names the same key': fc.constant((sent) =>
    changeHeader('approov-token', () => freshToken(SIGNED_BY[labelOf(sent)]))(sent),
  ),
  authorization: other.value.map((change) => changeHeader('authorization', change)),
  'content-type': other.value.map((change) => changeHeader('content-type', change)),
  'approov-traceid': other.value.map((change) => changeHeader('approov-traceid', change)),
  'the body': fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(([place, byte]) => (sent) => {
    const body = Buffer.from(sent.body ?? []);
    const index = place % body.length;
    body[index] = (body[index] ?? 0) ^ byte;
    return { ...sent, body };
  }),
  'the body and content-digest': fc
    .uint8Array({ minLength: 1025, maxLength: 1100 })
    .map((bytes) => (sent) => {
      const digest = `sha-256=${byteSequence(createHash('sha256').update(bytes).digest())}`;
      return { ...changeHeader('content-digest', () => digest)(sent), body: Buffer.from(bytes) };
    }),
  created: SHIFT.map((seconds) => changeHeader('signature-input', shift('created', seconds))),
  expires: SHIFT.map((seconds) => changeHeader('signature-input', shift('expires', seconds))),
  'alg, which is left out, or written otherwise': fc
    .constantFrom('', '; alg="ecdsa-p256-sha256"', '; alg="hmac-sha256"', ';alg="ecdsa-p384-sha384"')
    .map((alg) => changeHeader('signature-input', (input) => input.replace(/;alg="[^"]*"/, alg))),
  'a parameter more': fc
    .constantFrom('nonce', 'keyid', 'tag', 'x')
    .map((name) => changeHeader('signature-input', (input) => `${input};${name}="1"`)),
  'the order of parameters': fc.constant(
    changeHeader('signature-input', (input) => input.replace(/(;created=\d+)(;expires=\d+)/, '$2$1')),
  ),
  'a component less': fc
    .nat()
    .map((place) => covered((names) => names.filter((_, index) => index !== place % names.length))),
  'a component more': fc
    .constantFrom('"@scheme"', '"@request-target"', '"user-agent"', '"x-request-id"')
    .map((name) => covered((names) => [...names, name])),
  'the order of components': fc
    .nat()
    .map((place) =>
      covered((names) =>
        names.map((_, index) => names[(index + 1 + (place % (names.length - 1))) % names.length] ?? ''),
      ),
    ),
  'the signature, by one bit': fc.nat({ max: 511 }).map((bit) =>
    changeHeader('signature', (text) => {
      const [, key = '', base64 = ''] = /^(\w+=):(.*):$/.exec(text) ?? [];
      const bytes = Buffer.from(base64, 'base64');
      const index = (bit >> 3) % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit & 7));
      return key + byteSequence(bytes);
    }),
  ),
  'the signature, for random bytes': fc
    .uint8Array({ minLength: 64, maxLength: 64 })
    .map((bytes) => (sent) => {
      const label = labelOf(sent);
      const random = byteSequence(Buffer.from(bytes).subarray(0, SIGNATURE_BYTES[label]));
      return changeHeader('signature', () => `${label}=${random}`)(sent);
    }),
};

/** Requests that were signed with one key and then changed. */
export function* changedRequests(
  signedBy: SignatureLabel,
  change: fc.Arbitrary<Change>,
  count: number,
  seed: number,
): Generator<Sent> {
  for (const [honest, apply] of fc.sample(fc.tuple(FULL, change), { numRuns: count, seed })) {
    yield apply(signHonest({ ...honest, signedBy }));
  }
}
