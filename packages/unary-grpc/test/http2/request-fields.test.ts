/** Tests which header lists are valid requests (RFC 9113 §8.2, §8.3). */
import { describe, expect, test } from 'vitest';
import type { Field } from '../../src/hpack/encoder.ts';
import { RequestFields } from '../../src/http2/request-fields.ts';
import { callFields } from '../support/frames.ts';

function read(list: readonly Field[], areTrailers = false): RequestFields {
  const fields = new RequestFields(16_384, ['content-type', 'x-kept']);
  fields.begin(areTrailers);
  for (const [name, value] of list) fields.add(name, value);
  fields.end();
  return fields;
}

const pseudo: Field[] = callFields({ 'content-type': undefined, te: undefined });
const IS_VALID = undefined;

describe('a request', () => {
  test('a request has its values by name', () => {
    const fields = read(callFields({ 'content-length': '12', 'x-kept': 'first', other: 'o' }));
    expect(fields.problem).toBe(IS_VALID);
    expect([fields.method, fields.path, fields.contentLength]).toEqual(['POST', '/test.Echo/Echo', 12]);
    expect([fields.value(0), fields.value(1)]).toEqual(['application/grpc', 'first']);
  });

  test('a request does not have the values of the one before', () => {
    const fields = read(callFields({ 'x-kept': 'v', 'content-length': '1' }));
    fields.begin(false);
    for (const [name, value] of pseudo) fields.add(name, value);
    expect([fields.value(0), fields.value(1), fields.contentLength]).toEqual([undefined, undefined, -1]);
  });

  test('a field that occurs twice has its first value', () => {
    expect(read([...callFields({ 'x-kept': '1' }), ['x-kept', '2']]).value(1)).toBe('1');
  });

  test.each([
    ['host instead of :authority', callFields({ ':authority': undefined, host: 'a' })],
    ['host that equals :authority in another case', callFields({ host: 'LocalHost' })],
    ['OPTIONS *', callFields({ ':method': 'OPTIONS', ':path': '*' })],
    [
      'CONNECT with :authority alone',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
      ],
    ],
    ['a scheme other than http', callFields({ ':scheme': 'https' })],
    [
      'content-length twice with one value',
      [...callFields({ 'content-length': '1' }), ['content-length', '1']],
    ],
    ['te twice', [...callFields(), ['te', 'trailers']]],
    ['an empty value', callFields({ 'x-any': '' })],
    ['a value with octets above 127, spaces and tabs inside', callFields({ 'x-any': 'a \t\xff' })],
    ['every character of a token in a name', callFields({ "!#$%&'*+-.^_`|~09az": 'v' })],
  ] as [string, Field[]][])('is valid with %s', (_what, list) => {
    expect(read(list).problem).toBe(IS_VALID);
  });

  test.each([
    ['no :method', callFields({ ':method': undefined }), ':method is missing'],
    ['no :scheme', callFields({ ':scheme': undefined }), ':scheme is missing'],
    ['no :path', callFields({ ':path': undefined }), ':path is missing'],
    ['an empty :path', callFields({ ':path': '' }), ':path is not a path'],
    ['a :path without a slash', callFields({ ':path': 'test.Echo/Echo' }), ':path is not a path'],
    ['* that is not for OPTIONS', callFields({ ':path': '*' }), ':path is not a path'],
    [
      'neither :authority nor host',
      callFields({ ':authority': undefined }),
      ':authority and host are missing',
    ],
    ['an empty :authority', callFields({ ':authority': '' }), ':authority or host is empty'],
    ['an empty host', callFields({ ':authority': undefined, host: '' }), ':authority or host is empty'],
    ['host that differs from :authority', callFields({ host: 'other' }), 'host differs from :authority'],
    ['userinfo in :authority', callFields({ ':authority': 'user@localhost' }), ':authority has userinfo'],
    [
      'host twice',
      [...callFields({ host: 'localhost' }), ['host', 'x']],
      'a repeated field with another value',
    ],
    [':status', [...pseudo, [':status', '200']], 'an unknown pseudo-header field'],
    [
      ':protocol, since SETTINGS_ENABLE_CONNECT_PROTOCOL was not sent',
      [...pseudo, [':protocol', 'websocket']],
      'an unknown pseudo-header field',
    ],
    [
      'a pseudo-header field twice',
      [...pseudo, [':path', '/test.Echo/Echo']],
      'a repeated pseudo-header field',
    ],
    [
      'a pseudo-header field after others',
      [...callFields({ ':path': undefined }), [':path', '/']],
      'a pseudo-header field after others',
    ],
    [
      'a pseudo-header field after an unknown field',
      [['x', 'y'], ...pseudo],
      'a pseudo-header field after others',
    ],
    [
      'CONNECT with :path',
      callFields({ ':method': 'CONNECT' }),
      'CONNECT with :scheme or :path, or without :authority',
    ],
    ['te other than trailers', callFields({ te: 'gzip' }), 'te is not "trailers"'],
    ['te with more than trailers', callFields({ te: 'trailers, deflate' }), 'te is not "trailers"'],
    ['a negative content-length', callFields({ 'content-length': '-1' }), 'content-length is not a number'],
    ['an empty content-length', callFields({ 'content-length': '' }), 'content-length is not a number'],
    [
      'two values of content-length',
      [...callFields({ 'content-length': '1' }), ['content-length', '2']],
      'a repeated field with another value',
    ],
    ['an empty name', callFields({ '': 'v' }), 'an empty field name'],
    [
      'a name in upper case',
      callFields({ 'X-Any': 'v' }),
      'a field name with a character that is not allowed',
    ],
    ...['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'].map((name) => [
      name,
      callFields({ [name]: 'x' }),
      'a connection-specific field',
    ]),
    ...[' ', ':', '\0', '\x7f', '\xe9', '(', '"', '/'].map((octet) => [
      `${JSON.stringify(octet)} in a name`,
      callFields({ [`x${octet}y`]: 'v' }),
      'a field name with a character that is not allowed',
    ]),
    ...['\0', '\r', '\n'].map((octet) => [
      `${JSON.stringify(octet)} in a value`,
      callFields({ 'x-any': `a${octet}b` }),
      'a field value with a character that is not allowed',
    ]),
    ...[' a', 'a ', '\ta', 'a\t', ' '].map((value) => [
      `the value ${JSON.stringify(value)}`,
      callFields({ 'x-any': value }),
      'a field value with a character that is not allowed',
    ]),
    [
      'a line break in a pseudo-header field',
      callFields({ ':path': '/a\r\nb: c' }),
      'a field value with a character that is not allowed',
    ],
  ] as [string, Field[], string][])('is malformed with %s', (_what, list, problem) => {
    expect(read(list).problem).toBe(problem);
  });
});

describe('trailers', () => {
  test('trailers need no pseudo-header fields, and may have none', () => {
    expect(read([['x-any', 'v']], true).problem).toBe(IS_VALID);
    expect(read([[':path', '/']], true).problem).toBe('a pseudo-header field in trailers');
  });

  test('trailers must have valid names and values', () => {
    expect(read([['X', 'v']], true).problem).toBe('a field name with a character that is not allowed');
    expect(read([['x', '\n']], true).problem).toBe('a field value with a character that is not allowed');
  });
});

describe('the size of a list', () => {
  test('the size of a list includes 32 bytes for each field (§6.5.2)', () => {
    const fields = new RequestFields(100, []);
    fields.begin(false);
    fields.add('a'.repeat(8), 'b'.repeat(10));
    fields.add('a'.repeat(8), 'b'.repeat(10));
    expect([fields.listBytes, fields.isTooLarge]).toEqual([100, false]);
    fields.add('', '');
    expect([fields.listBytes, fields.isTooLarge]).toEqual([132, true]);
  });
});
