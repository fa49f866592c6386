/** Tests the decoding of CheckRequest against the stock protobuf library. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import type { HeaderValues } from '../../../src/authz/check-request.ts';
import { RESULT_HEADER_ALIASES } from '../../../src/authz/result-header.ts';
import { decodeCheckRequest } from '../../../src/envoy/check-request-decoder.ts';
import { WireError } from '../../../src/envoy/wire.ts';

const { Root, Writer } = protobuf;

const root = new Root();
root.resolvePath = (_origin, target) => fileURLToPath(new URL(`../../../proto/${target}`, import.meta.url));
root.loadSync('envoy/service/auth/v3/external_auth.proto', { keepCase: true });
const Stock = {
  CheckRequest: root.lookupType('envoy.service.auth.v3.CheckRequest'),
  CheckResponse: root.lookupType('envoy.service.auth.v3.CheckResponse'),
  AttributeContext: root.lookupType('envoy.service.auth.v3.AttributeContext'),
  HttpRequest: root.lookupType('envoy.service.auth.v3.AttributeContext.HttpRequest'),
  HeaderMap: root.lookupType('envoy.config.core.v3.HeaderMap'),
  HeaderValue: root.lookupType('envoy.config.core.v3.HeaderValue'),
  Peer: root.lookupType('envoy.service.auth.v3.AttributeContext.Peer'),
};

const HEADER_NAMES: ReadonlySet<string> = new Set(['approov-token', 'authorization', 'x-request-id']);

/** A length-delimited field, written by the stock library. */
function wrap(fieldNumber: number, content: Uint8Array): Buffer {
  return Buffer.from(
    Writer.create()
      .uint32(fieldNumber * 8 + 2)
      .bytes(content)
      .finish(),
  );
}

/** One or more fields of a message, written by the stock library. */
function fieldsOf(type: protobuf.Type, fields: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(type.encode(type.fromObject(fields)).finish());
}

/** A whole CheckRequest around the fields of an HttpRequest. */
function aroundHttp(...http: readonly Buffer[]): Buffer {
  return wrap(1, wrap(4, wrap(2, Buffer.concat(http))));
}

const text = fc.string({ unit: 'binary', maxLength: 12 });
const headerName = fc.oneof(
  fc.constantFrom(...HEADER_NAMES, 'Approov-Token', 'AUTHORIZATION', 'cookie', ''),
  fc.constantFrom(...RESULT_HEADER_ALIASES, 'X_Approov-VERDICT', 'x-approov-verdict', 'x_approov_verdicq'),
  text,
);

/** A field that the API does not have, of any wire type, including nested groups. */
const unknownField = fc.letrec<{ field: Buffer; leaf: Buffer; group: Buffer }>((tie) => ({
  field: fc.oneof({ maxDepth: 3 }, tie('leaf'), tie('group')),
  leaf: fc
    .tuple(unknownNumber(), fc.constantFrom(0, 1, 2, 5), fc.uint8Array({ minLength: 8, maxLength: 8 }))
    .map(([number, wireType, bytes]) => {
      const value = {
        0: [...bytes.map((byte) => byte | 0x80), 1],
        1: bytes,
        2: [8, ...bytes],
        5: bytes.subarray(4),
      };
      return Buffer.concat([tag(number, wireType), Uint8Array.from(value[wireType as 0 | 1 | 2 | 5])]);
    }),
  group: fc
    .tuple(unknownNumber(), fc.array(tie('field'), { maxLength: 3 }))
    .map(([number, fields]) => Buffer.concat([tag(number, 3), ...fields, tag(number, 4)])),
})).field;

function unknownNumber(): fc.Arbitrary<number> {
  return fc.integer({ min: 100, max: 0x1fff_ffff });
}

function tag(fieldNumber: number, wireType: number): Uint8Array {
  return Writer.create()
    .uint32(fieldNumber * 8 + wireType)
    .finish();
}

const headerValue = fc
  .tuple(
    headerName,
    fc.oneof(
      text.map((value) => ({ value })),
      fc.uint8Array({ maxLength: 8 }).map((raw_value) => ({ raw_value })),
    ),
  )
  .map(([key, value]) => wrap(1, fieldsOf(Stock.HeaderValue, { key, ...value })));

const httpField = fc.oneof(
  fc.record({ method: text }).map((field) => fieldsOf(Stock.HttpRequest, field)),
  fc.record({ path: text }).map((field) => fieldsOf(Stock.HttpRequest, field)),
  fc.record({ host: text }).map((field) => fieldsOf(Stock.HttpRequest, field)),
  fc
    .record({ id: fc.string({ minLength: 1, maxLength: 9 }) })
    .map((field) => fieldsOf(Stock.HttpRequest, field)),
  fc
    .record({ raw_body: fc.uint8Array({ minLength: 1, maxLength: 9 }) })
    .map((field) => fieldsOf(Stock.HttpRequest, field)),
  fc.array(fc.oneof(headerValue, unknownField)).map((fields) => wrap(13, Buffer.concat(fields))),
  unknownField,
);

/** Map entries anywhere between the other fields, each name once, as Envoy writes them. */
const http = fc
  .tuple(
    fc.array(httpField, { maxLength: 8 }),
    fc.uniqueArray(fc.tuple(headerName, text), { selector: ([key]) => key, maxLength: 4 }),
  )
  .chain(([fields, entries]) =>
    shuffled([
      // The stock library does not merge a repeated header_map, which has its own test.
      ...fields.filter(
        (field, index) => field[0] !== 0x6a || fields.findIndex((other) => other[0] === 0x6a) === index,
      ),
      ...entries.map(([key, value]) => fieldsOf(Stock.HttpRequest, { headers: { [key]: value } })),
    ]),
  );

const peer = fc
  .oneof(
    text.map((address) => ({ address: { socket_address: { address } } })),
    text.map((path) => ({ address: { pipe: { path } } })),
  )
  .map((fields) => wrap(1, fieldsOf(Stock.Peer, fields)));

const extension = fc
  .tuple(fc.constantFrom('approov_policy', 'other', ''), text)
  .map(([key, value]) => fieldsOf(Stock.AttributeContext, { context_extensions: { [key]: value } }));

/** Fields of an AttributeContext in any order, except `request`, whose fields are separate. */
const context = fc
  .tuple(fc.array(fc.oneof(extension, unknownField)), fc.option(peer))
  .map(([fields, source]) => (source === null ? fields : [...fields, source]));

function shuffled(fields: readonly Buffer[]): fc.Arbitrary<Buffer[]> {
  return fc.shuffledSubarray([...fields], { minLength: fields.length, maxLength: fields.length });
}

/** What the stock library decodes, in our terms. */
function asStockReads(message: Buffer): unknown {
  const { attributes } = Stock.CheckRequest.toObject(Stock.CheckRequest.decode(message), { defaults: true });
  const request = attributes?.request?.http;
  const address = attributes?.source?.address;
  const pairs: [string, Buffer][] = [
    ...Object.entries<string>(request?.headers ?? {}).map(([key, value]): [string, Buffer] => [
      key,
      Buffer.from(value),
    ]),
    ...(request?.header_map?.headers ?? []).map(
      (header: { key: string; value: string; raw_value: Uint8Array }): [string, Buffer] => [
        header.key,
        Buffer.from(header.raw_value.length > 0 ? header.raw_value : Buffer.from(header.value)),
      ],
    ),
  ];
  return {
    method: request?.method ?? '',
    path: request?.path ?? '',
    host: request?.host ?? '',
    policyName: attributes?.context_extensions?.['approov_policy'],
    sourceAddress: address?.socket_address?.address ?? address?.pipe?.path ?? '',
    requestId: request?.id ?? '',
    body: Buffer.from(request?.raw_body ?? '').toString('hex'),
    headers: sortedHeaders(pairs.map(([key, value]) => [asciiLowerCase(key), value])),
    allHeaders: sortedPairs(pairs.map(([key, value]) => [nameBytes(key), value])),
    aliases: [...new Set(pairs.map(([key]) => asciiLowerCase(key)))]
      .filter((name) => RESULT_HEADER_ALIASES.includes(name))
      .sort(),
  };
}

function asWeRead(message: Buffer): unknown {
  const request = decodeCheckRequest(message, HEADER_NAMES);
  const { method, path, host, policyName, sourceAddress, headers, resultHeaderAliases } = request;
  return {
    requestId: request.requestId,
    body: request.body.toString('hex'),
    allHeaders: sortedPairs(pairsOf(request.allHeaders())),
    method,
    path,
    host,
    policyName,
    sourceAddress,
    headers: sortedHeaders(valuesOf(HEADER_NAMES, headers)),
    aliases: [...resultHeaderAliases].sort(),
  };
}

function valuesOf(names: Iterable<string>, headers: HeaderValues): [string, Buffer][] {
  return [...names].flatMap((name) =>
    (headers.get(name) ?? []).map((value): [string, Buffer] => [name, value]),
  );
}

function pairsOf(headers: ReadonlyMap<string, readonly Buffer[]>): [string, Buffer][] {
  return [...headers].flatMap(([name, values]) => values.map((value): [string, Buffer] => [name, value]));
}

/** One character per byte, as for names that no header has. */
function nameBytes(name: string): string {
  return Buffer.from(name).toString('latin1').toLowerCase();
}

function sortedHeaders(pairs: readonly (readonly [string, Buffer])[]): string[] {
  return sortedPairs(pairs.filter(([name]) => HEADER_NAMES.has(name)));
}

function sortedPairs(pairs: readonly (readonly [string, Buffer])[]): string[] {
  return pairs.map(([name, value]) => `${name}: ${value.toString('hex')}`).sort();
}

/** Unlike toLowerCase, which turns the Kelvin sign into an ASCII `k`. */
function asciiLowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

describe('a CheckRequest', () => {
  test('decodes as with the stock library, with fields in any order and unknown ones skipped', () => {
    fc.assert(
      fc.property(
        http.chain((request) =>
          context.chain((others) => shuffled([...others, wrap(4, wrap(2, Buffer.concat(request)))])),
        ),
        fc.array(unknownField, { maxLength: 2 }),
        (attributes, unknown) => {
          const message = Buffer.concat([...unknown, wrap(1, Buffer.concat(attributes)), ...unknown]);
          expect(asWeRead(message)).toEqual(asStockReads(message));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('merges repeated singular messages', () => {
    fc.assert(
      fc.property(http, context, fc.infiniteStream(fc.boolean()), (request, others, cuts) => {
        const cut = (fields: readonly Buffer[]): Buffer[] => {
          const parts: Buffer[][] = [[]];
          for (const field of fields) {
            if (cuts.next().value === true) parts.push([]);
            parts.at(-1)?.push(field);
          }
          return parts.map((part) => Buffer.concat(part));
        };
        const whole = wrap(1, Buffer.concat([...others, wrap(4, wrap(2, Buffer.concat(request)))]));
        const httpParts = cut(request).map((part) => wrap(2, part));
        const requestParts = cut(httpParts).map((part) => wrap(4, part));
        const inParts = cut([...others, ...requestParts]).map((part) => wrap(1, part));
        expect(asWeRead(Buffer.concat(inParts))).toEqual(asWeRead(whole));
      }),
      { numRuns: 1000 },
    );
  });

  test('may miss any field', () => {
    const nothing = {
      method: '',
      path: '',
      host: '',
      policyName: undefined,
      sourceAddress: '',
      requestId: '',
      body: '',
      headers: [],
      aliases: [],
    };
    const messages = [
      '',
      '0a00',
      '0a022200',
      '0a0422021200',
      '0a020a00',
      '0a040a020a00',
      '0a025200',
      '0a0622041202 1a00',
      '0a0622041202 6a00',
    ];
    for (const message of messages)
      expect(asWeRead(Buffer.from(message.replace(' ', ''), 'hex'))).toMatchObject(nothing);
  });

  test('has each occurrence of the requested headers in order, and makes nothing of another', () => {
    const lines = [
      { key: 'approov-token', raw_value: Buffer.from([0xff, 0x00, 0x61]) },
      { key: 'cookie', raw_value: Buffer.from('secret') },
      { key: 'Approov-Token', value: 'b' },
      { key: 'approov-token' },
    ];
    const { headers } = decodeCheckRequest(
      aroundHttp(wrap(13, fieldsOf(Stock.HeaderMap, { headers: lines }))),
      HEADER_NAMES,
    );
    expect(headers.get('cookie')).toBeUndefined();
    expect(headers.get('approov-token')?.map((value) => value.toString('hex'))).toEqual(['ff0061', '62', '']);
  });

  test('has the body that Envoy sends as text', () => {
    const message = aroundHttp(fieldsOf(Stock.HttpRequest, { body: 'é' }));
    expect(decodeCheckRequest(message, HEADER_NAMES).body).toEqual(Buffer.from('é'));
  });

  test('collects all headers in one pass, as a client chooses how many are signed', () => {
    const request = decodeCheckRequest(aroundHttp(Buffer.alloc(0)), HEADER_NAMES);
    expect(request.allHeaders()).toBe(request.allHeaders());
  });

  test('uses the non-empty one of value and raw_value', () => {
    const headers = [
      { key: 'approov-token', value: 'a', raw_value: Buffer.alloc(0) },
      { key: 'approov-token', value: '', raw_value: Buffer.from('b') },
    ];
    const message = aroundHttp(wrap(13, fieldsOf(Stock.HeaderMap, { headers })));
    const read = decodeCheckRequest(message, HEADER_NAMES).headers.get('approov-token');
    expect(read?.map(String)).toEqual(['a', 'b']);
  });

  test.each<[name: string, fields: readonly Buffer[]]>([
    [
      'in the map and in header_map',
      [
        fieldsOf(Stock.HttpRequest, { headers: { 'approov-token': 'a' } }),
        fieldsOf(Stock.HttpRequest, { header_map: { headers: [{ key: 'approov-token', value: 'b' }] } }),
      ],
    ],
    [
      'twice in the map',
      [
        fieldsOf(Stock.HttpRequest, { headers: { 'approov-token': 'a' } }),
        fieldsOf(Stock.HttpRequest, { headers: { 'approov-token': 'b' } }),
      ],
    ],
    [
      'in two header_maps',
      [
        fieldsOf(Stock.HttpRequest, { header_map: { headers: [{ key: 'approov-token', value: 'a' }] } }),
        fieldsOf(Stock.HttpRequest, { header_map: { headers: [{ key: 'approov-token', value: 'b' }] } }),
      ],
    ],
  ])('with a header %s has it twice: no occurrence is chosen over another', (_name, fields) => {
    const { headers } = decodeCheckRequest(aroundHttp(...fields), HEADER_NAMES);
    expect(headers.get('approov-token')?.map(String)).toEqual(['a', 'b']);
  });

  test('does not confuse a similar header name with a requested header', () => {
    const key = 'approov-to\u212aen';
    const message = aroundHttp(fieldsOf(Stock.HttpRequest, { headers: { [key]: 'x' } }));
    expect(valuesOf(HEADER_NAMES, decodeCheckRequest(message, HEADER_NAMES).headers)).toEqual([]);
  });

  test('that is not UTF-8 has U+FFFD in text and raw bytes in header values', () => {
    const bad = Buffer.from([0x61, 0xff, 0xc0, 0x62]);
    const entry = Buffer.concat([wrap(1, Buffer.from('approov-token')), wrap(2, bad)]);
    const message = aroundHttp(
      wrap(2, bad),
      wrap(4, bad),
      wrap(5, bad),
      wrap(3, entry),
      wrap(3, wrap(1, bad)),
    );
    const { method, path, host, headers } = decodeCheckRequest(message, HEADER_NAMES);
    expect({ method, path, host }).toEqual({
      method: 'a\u{fffd}\u{fffd}b',
      path: 'a\u{fffd}\u{fffd}b',
      host: 'a\u{fffd}\u{fffd}b',
    });
    expect(headers.get('approov-token')).toEqual([bad]);
  });

  test('with a policy name that is not UTF-8 names a policy that is not configured', () => {
    const entry = Buffer.concat([wrap(1, Buffer.from('approov_policy')), wrap(2, Buffer.from([0xff]))]);
    expect(decodeCheckRequest(wrap(1, wrap(10, entry)), HEADER_NAMES).policyName).toBe('\u{fffd}');
  });

  test.each<[name: string, broken: string]>([
    ['breaks off in a tag', '80'],
    ['has field number 0', '02 00'],
    ['has wire type 6', '0e'],
    ['has wire type 7', '0f'],
    ['ends a group that never began', '0c'],
    ['never ends a group', 'a306'],
    ['ends a group under another number', 'a306ac06'],
    ['has a varint of over ten bytes', 'a006ffffffffffffffffffffff01'],
    ['has a length beyond its end', '0a7f'],
    ['has a length beyond 32 bits', '0affffffff7f'],
    ['breaks off in 32 bits', 'a50600'],
    ['breaks off in 64 bits', 'a10600'],
  ])('that %s, at whatever depth, is refused with WireError', (_name, broken) => {
    const bytes = Buffer.from(broken.replaceAll(' ', ''), 'hex');
    const paths = [[], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 2], [1, 10], [1, 4], [1, 4, 2]];
    const inHttp = [[3], [13], [13, 1]].map((path) => [1, 4, 2, ...path]);
    const places = [...paths, ...inHttp].map((path) =>
      path.reduceRight<Buffer>((inner, number) => wrap(number, inner), bytes),
    );
    for (const message of places) expect(() => decodeCheckRequest(message, HEADER_NAMES)).toThrow(WireError);
  });

  test('that is truncated anywhere, or has any byte changed, decodes or throws WireError', () => {
    const message = Buffer.concat([
      wrap(1, fieldsOf(Stock.Peer, { address: { socket_address: { address: '10.0.0.1' } } })),
      aroundHttp(
        fieldsOf(Stock.HttpRequest, {
          method: 'GET',
          path: '/',
          host: 'h',
          headers: { 'approov-token': 'a.b.c' },
        }),
        fieldsOf(Stock.HttpRequest, {
          header_map: { headers: [{ key: 'authorization', raw_value: Buffer.from('x') }] },
        }),
      ),
    ]);
    let refused = 0;
    const attempt = (some: Buffer): void => {
      try {
        decodeCheckRequest(some, HEADER_NAMES);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
        refused++;
      }
    };
    for (let at = 0; at < message.length; at++) {
      attempt(message.subarray(0, at));
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(message);
        changed[at] = byte;
        attempt(changed);
      }
    }
    expect(refused).toBeGreaterThan(message.length);
  });
});
