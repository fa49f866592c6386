import { describe, expect, it } from 'vitest';
import { choosePolicies } from '../../../src/authz/policy.ts';
import { checkRequest, policy, policyTable, route } from '../../support/check.ts';

const byDefault = policy({ name: 'default' });
const a = policy({ name: 'a' });
const b = policy({ name: 'b' });
const named = policy({ name: 'named' });

function chosen(request: Parameters<typeof checkRequest>[0], table = policyTable(byDefault)): string[] {
  return choosePolicies(checkRequest(request), table).policies.map(({ name }) => name);
}

describe('the policy that Envoy names', () => {
  const table = policyTable(byDefault, [route(a, { pathPrefix: '' })], [b]);

  it.each([
    { name: 'wins over every route', policyName: 'b', path: '/', expected: ['b'] },
    {
      name: 'does not end the choice for an ambiguous path',
      policyName: 'b',
      path: '/a/../b',
      expected: ['b', 'default', 'a'],
    },
    {
      name: 'is none if not configured, whatever the path',
      policyName: 'c',
      path: '/a/../b',
      expected: [],
    },
    { name: 'is none if empty, whatever the path', policyName: '', path: '/%zz', expected: [] },
    { name: 'may be the default', policyName: 'default', path: '/', expected: ['default'] },
    { name: 'is none if not configured', policyName: 'c', path: '/', expected: [] },
    { name: 'is none if empty', policyName: '', path: '/', expected: [] },
    { name: 'is none in another case', policyName: 'B', path: '/', expected: [] },
    { name: 'is none if it is unknown', policyName: 'unknown', path: '/', expected: [] },
    {
      name: 'is none if it is a property of every object',
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
  it('apply the policy of the first match, else the default policy', () => {
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
    { prefix: '/%40a', path: '/%40a/b%20c', expected: ['a'] },
    { prefix: '/%C3%A9', path: '/%c3%a9', expected: ['default', 'a'] },
    { prefix: '/%C3%A9', path: '/%C3%89', expected: ['default'] },
    { prefix: '/%C3%A9', path: '/%C3%A8', expected: ['default'] },
    { prefix: '/a', path: '/A', expected: ['default', 'a'] },
    { prefix: '/A', path: '/a', expected: ['default', 'a'] },
    { prefix: '/A', path: '/A', expected: ['a'] },
    { prefix: '/Api/Orders', path: '/aPI/oRDERS/X', expected: ['default', 'a'] },
    { prefix: '/@A', path: '/%40a', expected: ['default', 'a'] },
    { prefix: '/%40a', path: '/@A', expected: ['default', 'a'] },
    { prefix: '/a', path: '/AB', expected: ['default'] },
    { prefix: '/a', path: '/a/B', expected: ['a'] },
    { prefix: '/a', path: '/a/b%20c', expected: ['a'] },
    { prefix: '/a', path: '/b%20c', expected: ['default'] },
    { prefix: '/a', path: '/a%20', expected: ['default'] },
    { prefix: '/a%20', path: '/a%20/b', expected: ['a'] },
  ])(
    'compare $prefix with $path as sent, decoded and without case: $expected',
    ({ prefix, path, expected }) => {
      const table = policyTable(byDefault, [route(a, { pathPrefix: prefix })]);
      expect(chosen({ path }, table)).toEqual(expected);
    },
  );

  it('compare prefixes of different lengths in full', () => {
    const table = policyTable(byDefault, [
      route(a, { pathPrefix: '/%40%40%40%40' }),
      route(b, { pathPrefix: '/@' }),
    ]);
    expect(chosen({ path: '/%40%40%40%40' }, table)).toEqual(['a']);
    expect(chosen({ path: '/@@@@/x' }, table)).toEqual(['default', 'a']);
    expect(chosen({ path: '/%40/@' }, table)).toEqual(['default', 'b']);
    expect(chosen({ path: '/@@@@@' }, table)).toEqual(['default']);
  });

  it('match any value of an omitted field', () => {
    const table = policyTable(byDefault, [route(a)]);
    expect(chosen({ path: '', method: '' }, table)).toEqual(['a']);
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
    { host: '*.example.com', request: 'api.example.com', isMatch: true },
    { host: '*.example.com', request: 'a.b.c.example.com', isMatch: true },
    { host: '*.example.com', request: 'API.EXAMPLE.COM:443', isMatch: true },
    { host: '*.example.com', request: 'example.com', isMatch: false },
    { host: '*.example.com', request: 'badexample.com', isMatch: false },
    { host: '*.example.com', request: 'example.com.evil.test', isMatch: false },
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
    { prefix: '/a', path: '/', isMatch: false },
    { prefix: '/a', path: '', isMatch: false },
    { prefix: '/a', path: '/b/a', isMatch: false },
    { prefix: '/a', path: '/b?/a', isMatch: false },
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

  it('match only if host, prefix and method all match', () => {
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

describe('an ambiguous path', () => {
  const table = policyTable(
    byDefault,
    [
      route(b, { pathPrefix: '/nowhere' }),
      route(a, { host: 'api.example.com' }),
      route(b, { methods: ['GET'] }),
    ],
    [named],
  );

  it.each(['/x//y', '/x;y', '/%2e%2e/x', '/..%20', '/%zz', '/é', 'x', '#'])(
    'such as %s gets the default policy, then each policy whose route matches host and method, prefix or not',
    (path) => {
      expect(chosen({ path }, table)).toEqual(['default', 'b', 'a']);
      expect(choosePolicies(checkRequest({ path }), table).ambiguous).toBe('path');
    },
  );

  it('gets the policy that Envoy named first, then all others that could apply', () => {
    expect(chosen({ path: '/x//y', policyName: 'named' }, table)).toEqual(['named', 'default', 'b', 'a']);
    expect(chosen({ path: '/x//y', policyName: 'a' }, table)).toEqual(['a', 'default', 'b']);
  });

  it('gets the default policy besides the one that Envoy named, without routes', () => {
    expect(chosen({ path: '/x//y', policyName: 'named' }, policyTable(byDefault, [], [named]))).toEqual([
      'named',
      'default',
    ]);
  });

  it('does not get the policies of routes with another host or method', () => {
    const others = policyTable(byDefault, [
      route(a, { host: 'other.test' }),
      route(b, { methods: ['POST'] }),
    ]);
    expect(chosen({ path: '/x//y' }, others)).toEqual(['default']);
  });

  it('is not ambiguous because of its query', () => {
    const request = { path: '/a?b#c;d//e/../f\\g%2f', method: 'PUT', host: 'other.test' };
    expect(chosen(request, table)).toEqual(['default']);
    expect(choosePolicies(checkRequest(request), table).ambiguous).toBeUndefined();
  });
});

describe('an ambiguous host', () => {
  const table = policyTable(
    byDefault,
    [
      route(a, { host: 'api.example.com', pathPrefix: '/a' }),
      route(b, { host: '*.example.org' }),
      route(named, { pathPrefix: '/a' }),
      route(policy({ name: 'posted' }), { host: 'api.example.com', methods: ['POST'] }),
    ],
    [policy({ name: 'other' })],
  );

  it.each(['', '..', ':abc', 'u@api.example.com', 'api.example.com,other.test', '\u212aey.example.com'])(
    'such as %j gets what it would without the routes that name a host, and each such route that matches path and method',
    (host) => {
      expect(chosen({ host, path: '/a/x' }, table)).toEqual(['named', 'a', 'b']);
      expect(chosen({ host, path: '/b' }, table)).toEqual(['default', 'b']);
      expect(chosen({ host, path: '/b', method: 'POST' }, table)).toEqual(['default', 'b', 'posted']);
      expect(choosePolicies(checkRequest({ host }), table)).toMatchObject({
        ambiguous: 'host',
        host: undefined,
      });
    },
  );

  it('has its path compared case-folded too', () => {
    expect(chosen({ host: '', path: '/A' }, table)).toEqual(['default', 'named', 'a', 'b']);
  });

  it('gets the policy that Envoy named instead of those of routes without a host', () => {
    expect(chosen({ host: '', path: '/a', policyName: 'other' }, table)).toEqual(['other', 'a', 'b']);
  });

  it('with an ambiguous path gets every policy except those of routes with another method', () => {
    const request = { host: '', path: '/a//b', policyName: 'other' };
    expect(chosen(request, table)).toEqual(['other', 'default', 'named', 'a', 'b']);
    expect(choosePolicies(checkRequest(request), table).ambiguous).toBe('path');
  });

  it('is not a valid host with port, trailing dot or brackets', () => {
    for (const host of ['API.example.com.:443', '[::1]:8080', 'localhost']) {
      expect(choosePolicies(checkRequest({ host }), table).ambiguous).toBeUndefined();
    }
  });
});
