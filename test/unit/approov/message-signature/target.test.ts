/** Tests how each SDK reads the target of a request. */
import { describe, expect, it } from 'vitest';
import {
  TARGET_READING_NAMES,
  TARGET_READINGS,
  targetOf,
} from '../../../../src/approov/message-signature/target.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

/** `@target-uri`, `@authority`, `@path` and `@query` by reading. */
function readTarget(fields: RequestFields): Readonly<Record<string, readonly (string | undefined)[]>> {
  const target = targetOf(signedRequest(fields));
  if (target === undefined) throw new Error('not the target of a URL');
  return Object.fromEntries(
    TARGET_READING_NAMES.map((name) => {
      const { targetUri, authority, path, query } = TARGET_READINGS[name];
      return [name, [targetUri(target), authority(target), path(target), query(target)]];
    }),
  );
}

describe('the target of a request', () => {
  it('is read alike by all where nothing is special, but for the mark of the query', () => {
    const uri = 'https://api.example.com/v1/shapes?size=large';
    expect(readTarget({ path: '/v1/shapes?size=large' })).toEqual({
      rfc9421: [uri, 'api.example.com', '/v1/shapes', '?size=large'],
      okhttp: [uri, 'api.example.com', '/v1/shapes', 'size=large'],
      ios: [uri, 'api.example.com', '/v1/shapes', 'size=large'],
      flutter: [uri, 'api.example.com', '/v1/shapes', 'size=large'],
      normalised: [uri, 'api.example.com', '/v1/shapes', '?size=large'],
      explicitPort: [
        'https://api.example.com:443/v1/shapes?size=large',
        'api.example.com:443',
        '/v1/shapes',
        '?size=large',
      ],
    });
  });

  it('has no path for iOS and Flutter if the URL has none', () => {
    const { rfc9421, ios, flutter } = readTarget({ path: '/' });
    expect(rfc9421).toEqual(['https://api.example.com/', 'api.example.com', '/', '?']);
    expect(ios).toEqual(['https://api.example.com', 'api.example.com', '', '']);
    expect(flutter).toEqual(['https://api.example.com', 'api.example.com', '/', '']);
    expect(readTarget({ path: '/?a' })['ios']?.[0]).toBe('https://api.example.com?a');
  });

  it.each([
    ['api.example.com:8443', 'api.example.com:8443', 'api.example.com', 'api.example.com:8443'],
    ['API.Example.com', 'api.example.com', 'api.example.com', 'api.example.com:443'],
    ['api.example.com:443', 'api.example.com', 'api.example.com', 'api.example.com:443'],
    ['api.example.com:', 'api.example.com', 'api.example.com', 'api.example.com:443'],
    ['[2001:DB8::1]:8443', '[2001:db8::1]:8443', '[2001:db8::1]', '[2001:db8::1]:8443'],
    ['[2001:db8::1]', '[2001:db8::1]', '[2001:db8::1]', '[2001:db8::1]:443'],
  ])('at %s has the authority %s, for okhttp %s, with a port %s', (authority, rfc, okhttp, explicit) => {
    const readings = readTarget({ authority });
    expect(readings['rfc9421']?.[1]).toBe(rfc);
    expect(readings['okhttp']?.[1]).toBe(okhttp);
    expect(readings['explicitPort']?.[1]).toBe(explicit);
    expect(readings['rfc9421']?.[0]).toBe(`https://${authority}/v1/shapes`);
    expect(readings['normalised']?.[0]).toBe(`https://${rfc}/v1/shapes`);
  });

  it.each([
    ['api.example.com/v1', '/shapes'],
    ['api.example.com?q', '/'],
    ['api.example.com#q', '/'],
    ['user@api.example.com', '/'],
    ['api.example.com\\', '/'],
    ['api.example.com:80:80', '/'],
    ['api.example.com:https', '/'],
    ['[::1', '/'],
    ['[::1]x', '/'],
    ['[/]', '/'],
    ['a b', '/'],
    ['', '/'],
    ['api.example.com', ''],
    ['api.example.com', '*'],
    ['api.example.com', '?q'],
    ['api.example.c', 'om/v1'],
    ['api.example.com', '/a\ufffd'],
    // In lower case, the Kelvin sign is a k.
    ['api.ban\u212a.com', '/'],
  ])('at %s with the path %s is not that of a URL', (authority, path) => {
    expect(targetOf(signedRequest({ authority, path }))).toBeUndefined();
  });

  it('has port 80 by default under http', () => {
    const { rfc9421, explicitPort } = readTarget({ scheme: 'HTTP', authority: 'api.example.com:80' });
    expect(rfc9421?.[1]).toBe('api.example.com');
    expect(explicitPort?.[0]).toBe('http://api.example.com:80/v1/shapes');
  });

  it.each([
    ['/caf%C3%A9%20au%20lait', '/café au lait'],
    ['/a%22%3c%3E%5e%60%7B%7c%7D', '/a"<>^`{|}'],
    ['/a/', '/a/'],
  ])('%s is the path %j for iOS', (path, decoded) => {
    expect(readTarget({ path })['ios']?.[2]).toBe(decoded);
  });

  it.each([
    '/a%2Fb',
    '/a%252Fb',
    '/a%3Fb',
    '/a%2e',
    '/a%41',
    '/a%0Ab',
    '/a%5Cb',
    '/a%',
    '/a%C3',
    '/a%7F',
    '/%3b',
  ])('%s has no path for iOS: decoded, it would be another path', (path) => {
    expect(readTarget({ path })['ios']?.[2]).toBeUndefined();
  });

  it('has no query without its mark where that would read like another query', () => {
    expect(readTarget({ path: '/a??b' })['okhttp']?.[3]).toBeUndefined();
    expect(readTarget({ path: '/a??b' })['rfc9421']?.[3]).toBe('??b');
    expect(readTarget({ path: '/a?' })['rfc9421']?.[3]).toBe('?');
  });
});
