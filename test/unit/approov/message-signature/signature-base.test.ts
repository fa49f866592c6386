/** Tests signature bases against literal texts, among them those of RFC 9421. */
import { describe, expect, it } from 'vitest';
import { parseDictionary } from '../../../../src/approov/message-signature/dictionary.ts';
import {
  absentComponents,
  signatureBases,
} from '../../../../src/approov/message-signature/signature-base.ts';
import { parseSignatureInput } from '../../../../src/approov/message-signature/signature-input.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

function parse(text: string): ReturnType<typeof parseSignatureInput> {
  const result = parseDictionary(`x=${text}`, { bytes: 4096, members: 1 });
  const member = result.kind === 'dictionary' ? result.members.get('x') : undefined;
  if (member === undefined) throw new Error(`${text} does not parse`);
  return parseSignatureInput(member);
}

/** The bases of a request, by reading. */
function bases(text: string, fields: RequestFields): Readonly<Record<string, readonly string[]>> {
  const parsed = parse(text);
  if (parsed.kind === 'invalid') throw new Error(parsed.problem);
  const all = [...signatureBases(parsed.input, signedRequest(fields))];
  return Object.fromEntries(all.map(({ reading, text: base }) => [reading, base.split('\n').slice(0, -1)]));
}

/** The value of one covered component, as RFC 9421 reads it; `undefined` if the request does not have it. */
function componentOf(identifier: string, fields: RequestFields): string | undefined {
  const [line] = bases(`(${identifier});created=1`, fields)['rfc9421'] ?? [];
  return line?.slice(`${identifier}: `.length);
}

describe('a signature base', () => {
  it.each([
    [8192, ['rfc9421', 'okhttp']],
    [8193, ['rfc9421']],
  ])('of a target of %d characters has the readings %j', (length, readings) => {
    const path = `/?${'a'.repeat(length - 2)}`;
    expect(Object.keys(bases('("@query");created=1', { path }))).toEqual(readings);
  });

  it('is the one of RFC 9421 §2.5', () => {
    const input =
      '("@method" "@authority" "@path" "content-digest" "content-length" "content-type")' +
      ';created=1618884473;keyid="test-key-rsa-pss"';
    const request = signedRequest({
      method: 'POST',
      authority: 'example.com',
      path: '/foo?param=Value&Pet=dog',
      headers: {
        date: 'Tue, 20 Apr 2021 02:07:55 GMT',
        'content-type': 'application/json',
        'content-length': '18',
        'content-digest':
          'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
      },
    });
    const parsed = parse(input);
    const [base] = parsed.kind === 'input' ? signatureBases(parsed.input, request) : [];
    expect(base).toEqual({
      reading: 'rfc9421',
      text: [
        '"@method": POST',
        '"@authority": example.com',
        '"@path": /foo',
        '"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
        '"content-length": 18',
        '"content-type": application/json',
        `"@signature-params": ${input}`,
      ].join('\n'),
    });
  });

  it('ends with the parameters as received, not as they would be serialised', () => {
    const input = '( "@method"  "@path" ); created=1;a="\\"";  alg="x"';
    const parsed = parse(input);
    const [base] = parsed.kind === 'input' ? signatureBases(parsed.input, signedRequest()) : [];
    expect(base?.text).toBe(`"@method": GET\n"@path": /v1/shapes\n"@signature-params": ${input}`);
  });

  it.each([
    // RFC 9421 §2.1.
    [['Tue, 20 Apr 2021 02:07:56 GMT'], 'Tue, 20 Apr 2021 02:07:56 GMT'],
    [[' leading and trailing \t'], 'leading and trailing'],
    [['inner   blanks\tare kept'], 'inner   blanks\tare kept'],
    [['Obsolete\r\n    line folding.'], 'Obsolete line folding.'],
    [['Obsolete \t\r\n\t line\r\n folding.'], 'Obsolete line folding.'],
    [['max-age=60', '   must-revalidate'], 'max-age=60, must-revalidate'],
    [[''], ''],
    [['a', '', 'b'], 'a, , b'],
    [['caf\u00e9'], 'caf\u00e9'],
  ])('has %j as %j', (values, expected) => {
    expect(componentOf('"x"', { headers: { x: values } })).toBe(expected);
  });

  it.each(['constructor', '__proto__', 'valueof'])('has a field of the name %s', (name) => {
    expect(componentOf(`"${name}"`, { headers: { [name]: 'a' } })).toBe('a');
    expect(componentOf(`"${name}"`, {})).toBeUndefined();
  });

  it.each(['a\nb', 'a\r\nb', 'a\rb', 'a\r\n b\n"@method": POST'])(
    'is not built from a field with the line break of %j',
    (value) => {
      expect(componentOf('"x"', { headers: { x: value } })).toBeUndefined();
    },
  );

  it.each([
    ['"@method"', { method: 'PoST' }, 'PoST'],
    ['"@scheme"', { scheme: 'HTTPS' }, 'https'],
    ['"@request-target"', { path: '/a%20b?c' }, '/a%20b?c'],
    ['"@path"', { path: '/caf\u00e9' }, '/caf\u00c3\u00a9'],
    // RFC 9421 §2.2.8.
    ['"@query-param";name="param"', { path: '/p?param=value&foo=bar&baz=batman&qux=' }, 'value'],
    ['"@query-param";name="qux"', { path: '/p?param=value&foo=bar&baz=batman&qux=' }, ''],
    [
      '"@query-param";name="var"',
      { path: '/p?var=this%20is%20a%20big%0Amultiline%20value' },
      'this%20is%20a%20big%0Amultiline%20value',
    ],
    ['"@query-param";name="bar"', { path: '/p?bar=with+plus+whitespace' }, 'with%20plus%20whitespace'],
    ['"@query-param";name="a b"', { path: '/p?a%20b=1' }, '1'],
    ['"@query-param";name="a"', { path: '/p?%61=1' }, '1'],
    ['"@query-param";name="a"', { path: `/p?a=(~!%27*)` }, '%28%7E%21%27*%29'],
    [
      '"@query-param";name="fa%C3%A7ade%22%3A%20"',
      { path: '/p?fa%C3%A7ade%22%3A%20=something' },
      'something',
    ],
  ])('has %s of %j as %j', (identifier, fields, expected) => {
    expect(componentOf(identifier, fields)).toBe(expected);
  });

  it.each([
    ['"x"', {}],
    ['"@query-param";name="a"', { path: '/p' }],
    ['"@query-param";name="a"', { path: '/p?b=1' }],
    ['"@query-param";name="a"', { path: '/p?a=1&a=2' }],
    ['"@query-param";name="a"', { path: '/p??a=1' }],
    ['"a"', { headers: { a: Array.from({ length: 129 }, () => '') } }],
    ['"@query-param";name="a"', { path: '/p?a=1&b=1&%61=1&b=2' }],
    // Of the parameter whose name is `a b`, not `a%20b`.
    ['"@query-param";name="a%20b"', { path: '/p?a%2520b=1' }],
    ['"@query-param";name="a"', { path: `/p?a=1&b=${'1'.repeat(4096)}` }],
    ['"@method"', { method: 'GET\n"x": y' }],
  ])('does not exist for %s of %j', (identifier, fields) => {
    expect(bases(`(${identifier});created=1`, fields)).toEqual({});
    const parsed = parse(`("@path" ${identifier});created=1`);
    expect(parsed.kind === 'input' && absentComponents(parsed.input, signedRequest(fields))).toEqual([
      identifier,
    ]);
  });

  it('does not exist for a request whose host and path could be split in another way', () => {
    const moved = { authority: 'api.example.com/v1', path: '/shapes' };
    expect(bases('("@target-uri");created=1', moved)).toEqual({});
    expect(bases('("@method");created=1', moved)).toEqual({});
    const parsed = parse('("@method" "@path");created=1');
    expect(parsed.kind === 'input' && absentComponents(parsed.input, signedRequest(moved))).toEqual([
      '"@method"',
      '"@path"',
    ]);
  });

  it('is built once for readings that agree, and at most six times', () => {
    expect(Object.keys(bases('("@method" "@path");created=1', {}))).toEqual(['rfc9421']);
    expect(Object.keys(bases('("@target-uri");created=1', {}))).toEqual(['rfc9421', 'explicitPort']);
    const all = '("@target-uri" "@authority" "@path" "@query");created=1';
    expect(Object.keys(bases(all, { authority: 'A:443', path: '/' }))).toHaveLength(6);
  });

  it('takes all components from one reading', () => {
    const read = bases('("@authority" "@path" "@query" "@query-param";name="q");created=1', {
      authority: 'h:8443',
      path: '/%C3%A9?q=a+b',
    });
    expect(read).toEqual({
      rfc9421: [
        '"@authority": h:8443',
        '"@path": /%C3%A9',
        '"@query": ?q=a+b',
        '"@query-param";name="q": a%20b',
      ],
      okhttp: ['"@authority": h', '"@path": /%C3%A9', '"@query": q=a+b', '"@query-param";name="q": a b'],
      ios: ['"@authority": h', '"@path": /\u00c3\u00a9', '"@query": q=a+b', '"@query-param";name="q": a b'],
      flutter: [
        '"@authority": h:8443',
        '"@path": /%C3%A9',
        '"@query": q=a+b',
        '"@query-param";name="q": a b',
      ],
    });
  });

  it('has no decoded query parameter that would read like another one encoded, or break the line', () => {
    const input = '("@query-param";name="a");created=1';
    expect(Object.keys(bases(input, { path: '/?a=x%2520y' }))).toEqual(['rfc9421']);
    expect(Object.keys(bases(input, { path: '/?a=x%0Ay' }))).toEqual(['rfc9421']);
    expect(Object.keys(bases(input, { path: '/?a=x%20y' }))).toEqual(['rfc9421', 'okhttp']);
  });
});

describe('a member of Signature-Input', () => {
  it.each([
    ['"@method"', 'not_an_inner_list'],
    ['x', 'not_an_inner_list'],
    ['?1;created=1', 'not_an_inner_list'],
    ['();expires=1', 'missing_created'],
    ['();created', 'malformed_parameter'],
    ['();created="1"', 'malformed_parameter'],
    ['();created=1.5', 'malformed_parameter'],
    ['();created=@1', 'malformed_parameter'],
    ['();created=1;expires="2"', 'malformed_parameter'],
    ['();created=1;alg=hmac-sha256', 'malformed_parameter'],
    ['("@method" "@method");created=1', 'duplicate_component'],
    ['("@query-param";name="a" "@query-param";name="a");created=1', 'duplicate_component'],
    ['("@status");created=1', 'unsupported_component'],
    ['("@signature-params");created=1', 'unsupported_component'],
    ['("@unknown");created=1', 'unsupported_component'],
    ['("Content-Type");created=1', 'unsupported_component'],
    ['("");created=1', 'unsupported_component'],
    ['("a b");created=1', 'unsupported_component'],
    ['(x);created=1', 'unsupported_component'],
    ['(1);created=1', 'unsupported_component'],
    ['("toString");created=1', 'unsupported_component'],
    ['("x";sf);created=1', 'unsupported_component'],
    ['("x";bs);created=1', 'unsupported_component'],
    ['("x";key="a");created=1', 'unsupported_component'],
    ['("x";tr);created=1', 'unsupported_component'],
    ['("@method";req);created=1', 'unsupported_component'],
    ['("@query-param");created=1', 'unsupported_component'],
    ['("@query-param";name=a);created=1', 'unsupported_component'],
    ['("@query-param";name="a";req);created=1', 'unsupported_component'],
    [
      `(${Array.from({ length: 33 }, (_, index) => `"h${index}"`).join(' ')});created=1`,
      'too_many_components',
    ],
  ])('%s is rejected: %s', (text, problem) => {
    expect(parse(text)).toEqual({ kind: 'invalid', problem });
  });

  it('may have its parameters in any order, and others beside them, of which the last of a name counts', () => {
    const parsed = parse(
      '("@method");tag="x";expires=9;created=1;nonce="n";alg="hmac-sha256";created=2;keyid="k"',
    );
    expect(parsed.kind === 'input' && { ...parsed.input, text: '', components: [] }).toEqual({
      text: '',
      components: [],
      names: new Set(['@method']),
      created: 2,
      expires: 9,
      algorithm: 'hmac-sha256',
    });
  });

  it('may cover 32 components, and the same query parameter under two names', () => {
    const fields = Array.from({ length: 30 }, (_, index) => `"h${index}"`).join(' ');
    const input = `(${fields} "@query-param";name="a" "@query-param";name="b");created=1`;
    expect(parse(input).kind).toBe('input');
  });
});
