/** Owns the proof of which policy judges a request. */
import { describe, expect, it } from 'vitest';
import { choosePolicies, isOddPath } from '../../src/authz/policy.ts';
import { checkRequest, policy, policyTable, route } from '../support/check.ts';

const byDefault = policy({ name: 'default' });
const a = policy({ name: 'a' });
const b = policy({ name: 'b' });

function chosen(request: Parameters<typeof checkRequest>[0], table = policyTable(byDefault)): string[] {
  return choosePolicies(checkRequest(request), table).map(({ name }) => name);
}

describe('the policy that Envoy names', () => {
  const table = policyTable(byDefault, [route(a, { pathPrefix: '' })], [b]);

  it.each([
    { name: 'wins over every route', policyName: 'b', path: '/', expected: ['b'] },
    { name: 'wins for an odd path too', policyName: 'b', path: '/a/../b', expected: ['b'] },
    { name: 'may be the default', policyName: 'default', path: '/', expected: ['default'] },
    { name: 'is nobody if it is not configured', policyName: 'c', path: '/', expected: [] },
    { name: 'is nobody if it is empty', policyName: '', path: '/', expected: [] },
    { name: 'is nobody in another case', policyName: 'B', path: '/', expected: [] },
    { name: 'is nobody if it is unknown', policyName: 'unknown', path: '/', expected: [] },
    {
      name: 'is nobody if it is a member of every object',
      policyName: 'constructor',
      path: '/',
      expected: [],
    },
    { name: 'is left to the routes if it is not sent', policyName: undefined, path: '/', expected: ['a'] },
  ])('$name', ({ policyName, path, expected }) => {
    expect(chosen({ policyName, path }, table)).toEqual(expected);
  });
});

describe('routes', () => {
  it('judge by the first that matches, else by the default policy', () => {
    const table = policyTable(byDefault, [route(a, { pathPrefix: '/a/b' }), route(b, { pathPrefix: '/a' })]);
    expect(['/a/b', '/a/c', '/d'].map((path) => chosen({ path }, table))).toEqual([
      ['a'],
      ['b'],
      ['default'],
    ]);
  });

  it.each([
    { prefix: '/@a', path: '/@a/x', expected: ['a'] },
    { prefix: '/@a', path: '/%40a', expected: ['default', 'a'] },
    { prefix: '/%40a', path: '/@a', expected: ['default', 'a'] },
    { prefix: '/%40a', path: '/%40a', expected: ['a'] },
    { prefix: '/%C3%A9', path: '/%c3%a9', expected: ['default', 'a'] },
    { prefix: '/%C3%A9', path: '/é', expected: ['default', 'a'] },
    { prefix: '/é', path: '/%C3%A9/x', expected: ['default', 'a'] },
    { prefix: '/é', path: '/é', expected: ['a'] },
    { prefix: '/%F0%9F%98%80', path: '/😀', expected: ['default', 'a'] },
    { prefix: '/é', path: '/è', expected: ['default'] },
    { prefix: '/%E9', path: '/\ufffd', expected: ['default', 'a'] },
    { prefix: '/a', path: '/a/b%20c', expected: ['a'] },
    { prefix: '/a', path: '/b%20c', expected: ['default'] },
  ])('compare $prefix with $path as sent and decoded: $expected', ({ prefix, path, expected }) => {
    const table = policyTable(byDefault, [route(a, { pathPrefix: prefix })]);
    expect(chosen({ path }, table)).toEqual(expected);
  });

  it('match all by what they leave out', () => {
    const table = policyTable(byDefault, [route(a)]);
    expect(chosen({ host: '', path: '', method: '' }, table)).toEqual(['a']);
  });

  it.each([
    { host: 'api.example.com', request: 'api.example.com', isMatch: true },
    { host: 'api.example.com', request: 'API.Example.Com', isMatch: true },
    { host: 'api.example.com', request: 'api.example.com:8443', isMatch: true },
    { host: 'api.example.com', request: 'api.example.com.', isMatch: true },
    { host: 'api.example.com', request: 'api.example.com.:443', isMatch: true },
    { host: 'api.example.com', request: 'www.api.example.com', isMatch: false },
    { host: 'api.example.com', request: 'example.com', isMatch: false },
    { host: 'api.example.com', request: 'api.example.com.evil.test', isMatch: false },
    { host: 'api.example.com', request: '', isMatch: false },
    { host: '*.example.com', request: 'api.example.com', isMatch: true },
    { host: '*.example.com', request: 'a.b.c.example.com', isMatch: true },
    { host: '*.example.com', request: 'API.EXAMPLE.COM:443', isMatch: true },
    { host: '*.example.com', request: 'example.com', isMatch: false },
    { host: '*.example.com', request: '.example.com', isMatch: false },
    { host: '*.example.com', request: 'badexample.com', isMatch: false },
    { host: '*.example.com', request: 'example.com.evil.test', isMatch: false },
    { host: '*.example.com', request: '', isMatch: false },
    { host: '[2001:db8::1]', request: '[2001:DB8::1]:443', isMatch: true },
  ])('match host $host against $request: $isMatch', ({ host, request, isMatch }) => {
    expect(chosen({ host: request }, policyTable(byDefault, [route(a, { host })]))).toEqual([
      isMatch ? 'a' : 'default',
    ]);
  });

  it.each([
    { prefix: '/a', path: '/a', isMatch: true },
    { prefix: '/a', path: '/a/', isMatch: true },
    { prefix: '/a', path: '/a/b', isMatch: true },
    { prefix: '/a', path: '/a?x', isMatch: true },
    { prefix: '/a', path: '/a?/b', isMatch: true },
    { prefix: '/a', path: '/a/b?x=/..//;#', isMatch: true },
    { prefix: '/a', path: '/ab', isMatch: false },
    { prefix: '/a', path: '/A', isMatch: false },
    { prefix: '/a', path: '/', isMatch: false },
    { prefix: '/a', path: '', isMatch: false },
    { prefix: '/a', path: '/b/a', isMatch: false },
    { prefix: '/a', path: '/b?/a', isMatch: false },
    { prefix: '/a', path: 'a', isMatch: false },
    { prefix: '/a/b', path: '/a/b/c', isMatch: true },
    { prefix: '/a/b', path: '/a', isMatch: false },
    { prefix: '', path: '/', isMatch: true },
    { prefix: '', path: '/a', isMatch: true },
    { prefix: '', path: '', isMatch: true },
    { prefix: '', path: '*', isMatch: true },
    { prefix: '', path: '?x', isMatch: true },
  ])('match the prefix "$prefix" against "$path": $isMatch', ({ prefix, path, isMatch }) => {
    expect(chosen({ path }, policyTable(byDefault, [route(a, { pathPrefix: prefix })]))).toEqual([
      isMatch ? 'a' : 'default',
    ]);
  });

  it.each([
    { methods: ['GET'], method: 'GET', isMatch: true },
    { methods: ['GET', 'POST'], method: 'POST', isMatch: true },
    { methods: ['GET'], method: 'HEAD', isMatch: false },
    { methods: ['GET'], method: 'get', isMatch: false },
    { methods: ['GET'], method: '', isMatch: false },
  ])('match the methods $methods against $method: $isMatch', ({ methods, method, isMatch }) => {
    expect(chosen({ method }, policyTable(byDefault, [route(a, { methods })]))).toEqual([
      isMatch ? 'a' : 'default',
    ]);
  });

  it('match only where host, prefix and method all do', () => {
    const table = policyTable(byDefault, [
      route(a, { host: 'api.example.com', pathPrefix: '/a', methods: ['GET'] }),
    ]);
    const right = { host: 'api.example.com', path: '/a', method: 'GET' };
    expect(chosen(right, table)).toEqual(['a']);
    expect(chosen({ ...right, host: 'b.example.com' }, table)).toEqual(['default']);
    expect(chosen({ ...right, path: '/b' }, table)).toEqual(['default']);
    expect(chosen({ ...right, method: 'POST' }, table)).toEqual(['default']);
  });
});

describe('an odd path', () => {
  const table = policyTable(byDefault, [
    route(b, { pathPrefix: '/nowhere' }),
    route(a, { host: 'api.example.com' }),
    route(b, { methods: ['GET'] }),
  ]);

  it('is judged by the default policy, then by each policy whose route matches host and method, prefix or not', () => {
    expect(chosen({ path: '/x//y' }, table)).toEqual(['default', 'b', 'a']);
  });

  it('is not judged by routes of another host or method', () => {
    const others = policyTable(byDefault, [
      route(a, { host: 'other.test' }),
      route(b, { methods: ['POST'] }),
    ]);
    expect(chosen({ path: '/x//y' }, others)).toEqual(['default']);
  });

  it.each([
    '/a#b',
    '#',
    '/a\\b',
    '/a;b=c',
    '/a/b;',
    '//',
    '//a',
    '/a//b',
    '/a//',
    '/.',
    '/..',
    '/./a',
    '/a/./b',
    '/a/../b',
    '/a/..',
    '/a/.',
    '.',
    '..',
    './a',
    '../a',
    '/a/../b?x',
    '/%2e%2e/a',
    '/a%2Fb',
    '/a%252fb',
  ])('is %s', (path) => {
    expect(isOddPath(path.replace(/\?.*/, ''))).toBe(true);
    expect(chosen({ path }, table)).toEqual(['default', 'b', 'a']);
  });

  it.each([
    '',
    '/',
    '*',
    '/a/b/',
    '/...',
    '/.well-known/x',
    '/a..b/c.',
    '/a./b',
    '/..a',
    '/a:b@c,d=e+f!$&\'()*"<>[]^`{|}~_-',
    '/caf%C3%A9',
    '/a%20b%22%7C',
    '/é',
    '/100%',
    '/%zz',
    '/a?b#c;d//e/../f\\g%2f',
  ])('is not %s', (path) => {
    expect(isOddPath(path.replace(/\?.*/, ''))).toBe(false);
    expect(chosen({ path, method: 'PUT', host: 'other.test' }, table)).toEqual(['default']);
  });

  it('has a percent-encoded character that needs no encoding, or that is read again after decoding', () => {
    const odd = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => {
      const hex = byte.toString(16).padStart(2, '0');
      const isOdd = isOddPath(`/a%${hex}b`);
      expect(isOddPath(`/a%${hex.toUpperCase()}b`)).toBe(isOdd);
      return isOdd;
    });
    const expected = '#%-./0123456789;?ABCDEFGHIJKLMNOPQRSTUVWXYZ\\_abcdefghijklmnopqrstuvwxyz~';
    expect(String.fromCharCode(...odd)).toBe(expected);
  });
});
