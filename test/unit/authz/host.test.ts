import { describe, expect, it } from 'vitest';
import { matchesHost, normalizeHost, readHost } from '../../../src/authz/host.ts';

const LONG_LABEL = 'a'.repeat(63);
/** 255 characters. */
const LONGEST = [LONG_LABEL, LONG_LABEL, LONG_LABEL, LONG_LABEL].join('.');

describe('readHost', () => {
  it.each([
    { host: 'api.example.com', expected: 'api.example.com' },
    { host: 'API.Example.COM', expected: 'api.example.com' },
    { host: 'api.example.com:8443', expected: 'api.example.com' },
    { host: 'api.example.com:', expected: 'api.example.com' },
    { host: 'api.example.com.', expected: 'api.example.com' },
    { host: 'API.example.com.:443', expected: 'api.example.com' },
    { host: 'localhost', expected: 'localhost' },
    { host: '-a_b-.c', expected: '-a_b-.c' },
    { host: '[2001:DB8::1]:443', expected: '[2001:db8::1]' },
    { host: '[::ffff:192.0.2.1]', expected: '[::ffff:192.0.2.1]' },
    { host: '192.0.2.1:80', expected: '192.0.2.1' },
    { host: LONGEST, expected: LONGEST },
    { host: `${LONGEST}.:65535`, expected: LONGEST },
  ])('normalises $host to $expected', ({ host, expected }) => {
    expect(readHost(host)).toBe(expected);
  });

  it.each([
    '',
    ':443',
    ':abc',
    '.',
    '..',
    '.example.com',
    'api..example.com',
    'api.example.com..',
    'api.example.com:abc',
    'api.example.com:443:443',
    'api.example.com:123456',
    'u@api.example.com',
    'api.example.com,other.example.com',
    'api.example.com, api.example.com',
    'api.example.com/x',
    'api.example.com?x',
    'api.example.com#x',
    'api.example.com\\x',
    ' api.example.com',
    'api.example.com ',
    'api.example.com\n',
    'api.example.com\0',
    'api%2eexample.com',
    'http://api.example.com',
    '*.example.com',
    'bücher.example',
    '\u212aey.example.com',
    'te\u017ft.example',
    'api\uff0eexample.com',
    '\ufffd',
    '::1',
    '[::1',
    '[]',
    '[1:2]',
    '[1.2.3.4]',
    '[::1]x',
    '[::1]:x',
    '[fe80::1%eth0]',
    `a${LONGEST}`,
    `a${LONGEST}.:443`,
    'a'.repeat(60_000),
  ])('rejects %j', (host) => {
    expect(readHost(host)).toBeUndefined();
  });
});

describe('normalizeHost', () => {
  it.each([
    { host: '*.Example.com.:443', expected: '*.example.com' },
    { host: '[2001:DB8::1]:443', expected: '[2001:db8::1]' },
  ])('normalises $host to $expected', ({ host, expected }) => {
    expect(normalizeHost(host)).toBe(expected);
  });
});

describe('matchesHost', () => {
  it.each([
    { pattern: 'api.example.com', host: 'api.example.com', isMatch: true },
    { pattern: 'api.example.com', host: 'a.api.example.com', isMatch: false },
    { pattern: 'api.example.com', host: '', isMatch: false },
    { pattern: '*.example.com', host: 'api.example.com', isMatch: true },
    { pattern: '*.example.com', host: 'a.b.example.com', isMatch: true },
    { pattern: '*.example.com', host: 'example.com', isMatch: false },
    { pattern: '*.example.com', host: '.example.com', isMatch: false },
    { pattern: '*.example.com', host: 'badexample.com', isMatch: false },
    { pattern: '*.example.com', host: '*.example.com', isMatch: true },
    { pattern: '*.example.com', host: '', isMatch: false },
  ])('matches $host with $pattern: $isMatch', ({ pattern, host, isMatch }) => {
    expect(matchesHost(pattern, host)).toBe(isMatch);
  });
});
