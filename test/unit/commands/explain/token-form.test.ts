import { describe, expect, it } from 'vitest';
import type { Algorithm } from '../../../../src/approov/algorithm.ts';
import { CompactToken } from '../../../../src/approov/compact-token.ts';
import { analyzeForm, signatureLengthProblem } from '../../../../src/commands/explain/token-form.ts';
import { mintToken } from '../../../support/token.ts';

const TOKEN = mintToken({ did: '~~~?' });
const [HEADER, PAYLOAD, SIGNATURE] = TOKEN.split('.');

function analyze(text: string) {
  return analyzeForm(new CompactToken(text));
}

describe('the form of a value', () => {
  it.each([
    [TOKEN, 'signed', 3],
    [`${HEADER}..QQ.QQ.QQ`, 'encrypted', 5],
  ])('of %s is that of a token: %s, in %i parts', (text, form, parts) => {
    expect(analyze(text)).toEqual({
      characters: text.length,
      parts,
      form,
      mistakes: [],
      well_formed_without: false,
      defect: null,
    });
  });

  it.each([
    [`"${TOKEN}"`, ['quotes']],
    [`'${TOKEN}'`, ['quotes']],
    [`"${TOKEN}`, ['quotes']],
    [`<${TOKEN}>`, ['brackets']],
    [`Bearer ${TOKEN}`, ['prefix']],
    [`Approov-Token: ${TOKEN}`, ['prefix']],
    [`Bearer%20${TOKEN}`, ['url_encoding', 'prefix']],
    [TOKEN.replaceAll('.', '%2e'), ['url_encoding']],
    [TOKEN.replace('.', '.\r\n'), ['white_space']],
    [`${HEADER}.${PAYLOAD}==.${SIGNATURE}=`, ['base64']],
    [`"Bearer ${TOKEN}"`, ['quotes', 'prefix']],
  ])('%j is that of a token with %j', (text, mistakes) => {
    expect(analyze(text)).toMatchObject({
      form: 'malformed',
      mistakes,
      well_formed_without: true,
      defect: null,
    });
  });

  it.each([
    ['x'.repeat(8193), 'it has 8,193 characters, and at most 8,192 are allowed'],
    ['eyJhbGciOi...c8I4', 'it is shortened with dots, as in a log'],
    [Buffer.from('eyJhbGciOi…c8I4').toString('latin1'), 'it is shortened with dots, as in a log'],
    ['{"exp":1}', 'it is JSON, such as the loggable form that SDKs log, which is not a token'],
    ['a.b.c', 'it does not begin with `ey`, as a JWT does'],
    ['$TOKEN', 'it does not begin with `ey`, as a JWT does'],
    [`${HEADER}`, 'it is cut off in its first part'],
    [`${HEADER}.${PAYLOAD}`, 'it is cut off: it has 2 of 3 parts, and no signature'],
    [`${TOKEN}.${TOKEN}`, 'it has 6 parts; a signed token has 3, an encrypted one 5'],
    [`ey.${PAYLOAD}.${SIGNATURE}`, 'its first part is not a JSON object in base64url'],
    [`${HEADER}..${SIGNATURE}`, 'its second part, the payload, is empty'],
    [`${HEADER}.!.${SIGNATURE}`, 'its second part, the payload, is not base64url'],
    [`${HEADER}.${PAYLOAD}.QQR`, 'it is cut off: its signature has 2 bytes, one of HS256 has 32'],
    [`${TOKEN}!`, 'its third part, the signature, is not base64url'],
    [`${HEADER}.!.QQ.QQ.QQ`, 'one of its 5 parts is not base64url'],
  ])('%j has a defect: %s', (text, defect) => {
    expect(analyze(text)).toMatchObject({ form: 'malformed', mistakes: [], defect });
  });

  it('has both the mistakes of a value and the defect that is left without them', () => {
    expect(analyze(`Bearer ${HEADER}.${PAYLOAD}`)).toMatchObject({
      mistakes: ['prefix'],
      well_formed_without: false,
      defect: 'it is cut off: it has 2 of 3 parts, and no signature',
    });
  });
});

describe('the length of a signature', () => {
  it.each<[Algorithm, number]>([
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
    ['ES256', 64],
    ['ES384', 96],
    ['ES512', 132],
    ['EdDSA', 64],
  ])('of %s is %s bytes', (alg, bytes) => {
    expect(signatureLengthProblem({ alg }, bytes)).toBeUndefined();
    expect(signatureLengthProblem({ alg }, 1)).toBe(
      `it is cut off: its signature has 1 byte, one of ${alg} has ${bytes}`,
    );
    expect(signatureLengthProblem({ alg }, bytes + 1)).toBe(
      `something was added to it: its signature has ${bytes + 1} bytes, one of ${alg} has ${bytes}`,
    );
  });

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])('of %s is at least 256 bytes', (alg) => {
    expect(signatureLengthProblem({ alg }, 256)).toBeUndefined();
    expect(signatureLengthProblem({ alg }, 512)).toBeUndefined();
    expect(signatureLengthProblem({ alg }, 255)).toBe(
      `it is cut off: its signature has 255 bytes, one of ${alg} has at least 256`,
    );
  });

  it.each([{}, { alg: 'none' }, { alg: 5 }, undefined])('with header %j is not known', (header) => {
    expect(signatureLengthProblem(header, 1)).toBeUndefined();
  });
});
