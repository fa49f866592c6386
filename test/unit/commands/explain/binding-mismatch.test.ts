import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findMismatch } from '../../../../src/commands/explain/binding-mismatch.ts';

const VALUE = 'Bearer Abc';

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hash(text: string): string {
  return digest(text).toString('base64');
}

function headers(values: Readonly<Record<string, string | undefined>>) {
  return Object.entries(values).map(([name, value]) => ({
    name,
    value: value === undefined ? undefined : Buffer.from(value),
  }));
}

const BOUND = headers({ authorization: VALUE });
const TWO = headers({ authorization: VALUE, 'x-session': 's1' });

describe('a hash in a token that is not that of the bound header', () => {
  it.each([
    [hash('Abc'), 'the value without `Bearer `'],
    [hash('bearer Abc'), 'the value with `bearer ` in lower case'],
    [hash('Bearer Bearer Abc'), 'the value with `Bearer ` before it'],
    [hash('Bearer Abc\n'), 'the value with a newline at its end'],
    [hash('Abc\n'), 'the value without `Bearer ` and with a newline at its end'],
    [hash('Bearer Abc\r\n'), 'the value with a carriage return and newline at its end'],
    [hash('Bearer Abc '), 'the value with a space at its end, which checks trim'],
    [hash(' Bearer Abc'), 'the value with a space before it, which checks trim'],
    [hash('"Bearer Abc"'), 'the value in double quotes'],
    [hash('bearer abc'), 'the value in lower case'],
    [hash('authorization: Bearer Abc'), 'the value with the name of the header before it'],
    [hash('Authorization: Bearer Abc'), 'the value with the name of the header before it'],
    [hash(''), 'an empty value'],
    [digest(VALUE).toString('hex'), 'the right value, but in hexadecimal instead of base64'],
    [digest(VALUE).toString('hex').toUpperCase(), 'the right value, but in hexadecimal instead of base64'],
    [
      Buffer.from(digest(VALUE).toString('hex')).toString('base64'),
      'the right value, but in base64 of its hexadecimal digits',
    ],
    [Buffer.from(hash(VALUE)).toString('base64'), 'the right value, but in base64 twice'],
    [`${hash(VALUE)}\n`, 'the right value, but not in clean base64'],
    [digest('Abc').toString('hex'), 'the value without `Bearer `, in hexadecimal instead of base64'],
    [digest('Abc').toString('base64url'), 'the value without `Bearer `'],
  ])('%s is %s', (pay, mismatch) => {
    expect(findMismatch(pay, BOUND, [])).toBe(mismatch);
  });

  it('may be that of the value without its quotes', () => {
    expect(findMismatch(hash('Abc'), headers({ authorization: '"Abc"' }), [])).toBe(
      'the value without its quotes',
    );
  });

  it('may be that of a value that now has `Bearer ` missing', () => {
    expect(findMismatch(hash('Bearer Abc'), headers({ authorization: 'Abc' }), [])).toBe(
      'the value with `Bearer ` before it',
    );
  });

  it.each([
    ['s1', 'another header, x-session'],
    ['s1\n', 'another header, x-session, with a newline at its end'],
  ])('may be that of %j, of another header that was given', (text, mismatch) => {
    expect(findMismatch(hash(text), BOUND, headers({ cookie: 'c', 'x-session': 's1' }))).toBe(mismatch);
    expect(
      findMismatch(hash(text), headers({ authorization: undefined }), headers({ 'x-session': 's1' })),
    ).toBe(mismatch);
  });

  it.each([
    ['s1Bearer Abc', 'the headers in another order: x-session, authorization'],
    ['Abcs1', 'the values without `Bearer `'],
    ['Bearer Abc,s1', 'the values with a comma between them, where Approov has nothing'],
    ['Bearer Abc\ns1', 'the values with a newline between them, where Approov has nothing'],
    ['Bearer Abc', 'authorization alone'],
    ['s1', 'x-session alone'],
  ])('may be that of %j, of two bound headers', (text, mismatch) => {
    expect(findMismatch(hash(text), TWO, [])).toBe(mismatch);
  });

  it.each(['Bearer xyz', 'x'])('of %j is not explained', (text) => {
    expect(findMismatch(hash(text), TWO, headers({ cookie: 'c' }))).toBeUndefined();
    expect(findMismatch(text, TWO, [])).toBeUndefined();
  });

  it('needs no explanation if it is right', () => {
    expect(findMismatch(hash(VALUE), BOUND, [])).toBeUndefined();
    expect(findMismatch(digest(VALUE).toString('base64url'), BOUND, [])).toBeUndefined();
  });

  it('is not compared with every order of more than five headers', () => {
    const six = headers({ a: 'a', b: 'b', c: 'c', d: 'd', e: 'e', f: 'f' });
    expect(findMismatch(hash('edcba'), six.slice(0, 5), [])).toBe(
      'the headers in another order: e, d, c, b, a',
    );
    expect(findMismatch(hash('fedcba'), six, [])).toBeUndefined();
  });
});
