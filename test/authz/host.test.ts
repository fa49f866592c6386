/** Owns the proof of how hosts are compared. */
import { describe, expect, it } from 'vitest';
import { matchesHost, normalizeHost } from '../../src/authz/host.ts';

describe('normalizeHost', () => {
  it.each([
    { host: 'api.example.com', expected: 'api.example.com' },
    { host: 'API.Example.COM', expected: 'api.example.com' },
    { host: 'api.example.com:8443', expected: 'api.example.com' },
    { host: 'api.example.com:', expected: 'api.example.com' },
    { host: 'api.example.com.', expected: 'api.example.com' },
    { host: 'API.example.com.:443', expected: 'api.example.com' },
    { host: 'api.example.com..', expected: 'api.example.com.' },
    { host: '[2001:DB8::1]:443', expected: '[2001:db8::1]' },
    { host: '[2001:db8::1]', expected: '[2001:db8::1]' },
    { host: '192.0.2.1:80', expected: '192.0.2.1' },
    { host: '', expected: '' },
  ])('makes $expected of $host', ({ host, expected }) => {
    expect(normalizeHost(host)).toBe(expected);
  });
});

describe('matchesHost', () => {
  it.each([
    { pattern: 'api.example.com', host: 'api.example.com', isMatch: true },
    { pattern: 'api.example.com', host: 'a.api.example.com', isMatch: false },
    { pattern: 'api.example.com', host: '', isMatch: false },
    { pattern: '*.example.com', host: 'api.example.com', isMatch: true },
    { pattern: '*.example.com', host: 'a.b.c.example.com', isMatch: true },
    { pattern: '*.example.com', host: 'example.com', isMatch: false },
    { pattern: '*.example.com', host: '.example.com', isMatch: false },
    { pattern: '*.example.com', host: 'badexample.com', isMatch: false },
    { pattern: '*.example.com', host: '*.example.com', isMatch: true },
    { pattern: '*.example.com', host: '', isMatch: false },
  ])('says of $host under $pattern: $isMatch', ({ pattern, host, isMatch }) => {
    expect(matchesHost(pattern, host)).toBe(isMatch);
  });
});
