/** Tests which paths are plain, and that models of upstreams read a plain path alike. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPlainPath, matchesPrefix, pathOf, readPath } from '../../../src/authz/path.ts';

describe('pathOf', () => {
  it.each([
    ['/a?b', '/a'],
    ['/a?b?c', '/a'],
    ['/a', '/a'],
    ['/', '/'],
    ['', '/'],
    ['?x', '/'],
    ['*', '/'],
    ['*?x', '/'],
    ['/*', '/*'],
    ['**', '**'],
    ['/a#b?c', '/a#b'],
  ])('of %j is %j', (target, expected) => {
    expect(pathOf(target)).toBe(expected);
  });
});

describe('a plain path', () => {
  it.each([
    '/',
    '/a',
    '/a/b/',
    '/.well-known/x',
    '/a..b/c.',
    '/a./b',
    '/..a',
    "/a:b@c,d=e+f!$&'()*~_-",
    '/a[0]|b',
    '/caf%C3%A9',
    '/caf%c3%a9',
    '/%E2%82%AC%F0%9F%98%80',
    '/a%20b%22%7C%7e%7E%5B%5D%7b%7d',
    '/..%20a',
    '/%EF%BF%BD',
    '/%F4%8F%BF%BF',
    `/${'a'.repeat(8191)}`,
  ])('is %s', (path) => {
    expect(isPlainPath(path)).toBe(true);
  });

  it.each([
    'a',
    '.',
    '..',
    './a',
    'http://api.example.com/a',
    '#',
    '/a#b',
    '/a\\b',
    '/a;b=c',
    '/a/b;',
    '//',
    '//a',
    '/a//b',
    '/a//',
    '/.',
    '/..',
    '/...',
    '/./a',
    '/a/./b',
    '/a/../b',
    '/a/..',
    '/a/.',
    '/a/.../b',
    '/%20',
    '/a/%20/b',
    '/..%20',
    '/..%20/a',
    '/%20./a',
    '/..%09/a',
    '/%2e%2e/a',
    '/%2e./a',
    '/a%2Fb',
    '/a%5cb',
    '/a%252fb',
    '/a%3bb',
    '/a%3Fb',
    '/a%23b',
    '/%61',
    '/%5F',
    '/%u002e%u002e/a',
    '/%c0%ae%c0%ae/a',
    '/%c1%9c',
    '/%e0%80%ae',
    '/%e0%9f%bf',
    '/%f0%80%80%ae',
    '/%f0%8f%bf%bf',
    '/%ed%a0%80',
    '/%f4%90%80%80',
    '/%f5%80%80%80',
    '/%f8%80%80%80%80',
    '/%ff',
    '/%80',
    '/%c3',
    '/%c3a',
    '/%c3%28',
    '/%c3/%a9',
    '/%e2%82',
    '/100%',
    '/%4',
    '/%zz',
    '/%-1',
    '/%+1',
    '/% 1',
    '/%00',
    '/%1f',
    '/%7f',
    '/%0a',
    '/%c2%80',
    '/%c2%9f',
    '/é',
    '/\ufffd',
    '/\uff0e\uff0e',
    '/a b',
    '/a\tb',
    '/a\0b',
    '/a\x7fb',
    '/a"b',
    '/a<b',
    '/a>b',
    '/a^b',
    '/a`b',
    '/{id}',
    `/${'a'.repeat(8192)}`,
    `/${'a'.repeat(60_000)}`,
  ])('is not %s', (path) => {
    expect(isPlainPath(path)).toBe(false);
  });

  it('has no percent-encoded unreserved character but ~, path delimiter or control character', () => {
    const ascii = Array.from({ length: 128 }, (_, code) => code);
    const encodable = ascii.filter((code) => {
      const hex = code.toString(16).padStart(2, '0');
      const isPlain = isPlainPath(`/a%${hex}b`);
      expect(isPlainPath(`/a%${hex.toUpperCase()}b`)).toBe(isPlain);
      return isPlain;
    });
    expect(String.fromCharCode(...encodable)).toBe(' !"$&\'()*+,:<=>@[]^`{|}~');
  });

  it('may have every ASCII pchar but ; and also [ ] |', () => {
    const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
    expect(ascii.filter((character) => isPlainPath(`/a${character}b`)).join('')).toBe(
      "!$&'()*+,-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz|~",
    );
  });
});

/** Segments as an upstream finds them, once decoded. */
type Reader = (path: string) => readonly string[];

/** As RFC 3986 defines it: split, then decode once. */
const readOnce: Reader = (path) => path.slice(1).split('/').map(decodeURIComponent);

const decodeBytes = (text: string): Buffer =>
  Buffer.from(
    Buffer.from(text)
      .toString('latin1')
      .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );

/** Accepts overlong sequences, as old decoders do: `C0 AE` is `.`. */
function decodeLeniently(bytes: Buffer): string {
  let text = '';
  for (let index = 0; index < bytes.length; ) {
    const lead = bytes[index] ?? 0;
    const length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let code = length === 1 ? lead : lead & (0x7f >> length);
    for (const byte of bytes.subarray(index + 1, index + length)) code = (code << 6) | (byte & 0x3f);
    text += String.fromCodePoint(Math.min(code, 0x10ffff));
    index += length;
  }
  return text;
}

function resolve(path: string): readonly string[] {
  const segments: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') segments.pop();
    else if (segment !== '.') segments.push(segment);
  }
  return segments;
}

/** Models of what upstreams do, not the upstreams themselves. */
const READERS: Readonly<Record<string, Reader>> = {
  'decodes and then resolves dot segments': (path) => resolve(decodeURIComponent(path)),
  'drops path parameters, encoded or not': (path) =>
    resolve(decodeURIComponent(path.replace(/(;|%3b)[^/]*/gi, '')).replace(/;[^/]*/g, '')),
  'decodes twice': (path) => resolve(decodeURIComponent(decodeURIComponent(path))),
  'reads %u as UTF-16': (path) =>
    resolve(
      decodeURIComponent(
        path.replace(/%u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      ),
    ),
  'accepts overlong UTF-8': (path) => resolve(decodeLeniently(decodeBytes(path))),
  'collapses slashes': (path) => resolve(decodeURIComponent(path).replace(/\/+/g, '/')),
  'takes a backslash for a slash': (path) => resolve(decodeURIComponent(path).replaceAll('\\', '/')),
  'ignores dots and spaces that end a name of nothing else': (path) =>
    resolve(
      decodeURIComponent(path)
        .split('/')
        .map((segment) => (/^[. ]+$/.test(segment) ? '..' : segment))
        .join('/'),
    ),
  'ends at a fragment, a query or a NUL': (path) =>
    resolve(decodeURIComponent(path).replace(/[#?\0].*/s, '')),
  'ignores tabs and line ends': (path) => resolve(decodeURIComponent(path).replace(/[\t\r\n]/g, '')),
  'ignores the case of ASCII': (path) => resolve(fold(decodeURIComponent(path))),
};

function fold(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

describe('upstreams', () => {
  const piece = fc.oneof(
    fc.constantFrom('/', '/', '..', '.', '%2e', '%2f', '%5c', '%25', '%20', ';', '\\', '%u002e', '%c0%ae'),
    fc.constantFrom(
      '%C3%A9',
      '%e2%82%ac',
      'a',
      'A',
      '%00',
      '%09',
      '#',
      '%3b',
      '[',
      '|',
      '%7E',
      '~',
      'é',
      ' ',
    ),
    fc.string({ unit: 'binary', maxLength: 2 }),
    fc.string({ unit: 'grapheme-composite', maxLength: 2 }).map((text) => {
      try {
        return encodeURIComponent(text);
      } catch {
        return '';
      }
    }),
    fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`),
  );
  const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);

  it.each(Object.entries(READERS))('find the same segments in a plain path: one that %s', (_, read) => {
    fc.assert(
      fc.property(path, (text) => {
        fc.pre(isPlainPath(text));
        expect(read(text).map(fold)).toEqual(readOnce(text).map(fold));
      }),
      { numRuns: 2000, maxSkipsPerRun: 1000 },
    );
  });

  it.each([
    ['drops path parameters, encoded or not', '/public/..;/orders'],
    ['decodes twice', '/public/%252e%252e/orders'],
    ['reads %u as UTF-16', '/public/%u002e%u002e/orders'],
    ['accepts overlong UTF-8', '/public/%c0%ae%c0%ae/orders'],
    ['collapses slashes', '//orders'],
    ['takes a backslash for a slash', '/public/..%5c..%5corders'],
    ['ignores dots and spaces that end a name of nothing else', '/public/..%20/orders'],
  ])('differ on an ambiguous path: one that %s reads %s as /orders', (name, ambiguous) => {
    expect(isPlainPath(ambiguous)).toBe(false);
    expect(READERS[name]?.(ambiguous)).toEqual(['orders']);
  });
});

describe('the readings of a path', () => {
  it('are as sent, decoded, and both case-folded', () => {
    expect(readPath('/A%40%C3%89', 100)).toEqual({
      sent: '/A%40%C3%89',
      decoded: '/A@\xc3\x89',
      folded: '/a%40%c3%89',
      decodedFolded: '/a@\xc3\x89',
    });
  });

  it('are no longer than what prefixes are compared with, however long the path is', () => {
    expect(readPath(`/%40${'%40'.repeat(10_000)}`, 4)).toEqual({
      sent: '/%40',
      decoded: '/@@@',
      folded: '/%40',
      decodedFolded: '/@@@',
    });
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', '%40', '/')), fc.nat(20), (pieces, length) => {
        const decoded = pieces.join('').replaceAll('%40', '@').slice(0, length);
        expect(readPath(pieces.join(''), length).decoded).toBe(decoded);
      }),
    );
  });
});

describe('a prefix', () => {
  it.each([
    { prefix: '/a', path: '/a', isMatch: true },
    { prefix: '/a', path: '/a/', isMatch: true },
    { prefix: '/a', path: '/a/b', isMatch: true },
    { prefix: '/a', path: '/ab', isMatch: false },
    { prefix: '/a', path: '/', isMatch: false },
    { prefix: '', path: '/', isMatch: true },
    { prefix: '', path: '/a', isMatch: true },
  ])('$prefix matches $path: $isMatch', ({ prefix, path, isMatch }) => {
    expect(matchesPrefix(prefix, path)).toBe(isMatch);
  });
});
