/** Tests how the request that was signed is read from a check request. */
import { describe, expect, it } from 'vitest';
import { headersDecodedUnder, headersReadUnder } from '../../../src/authz/headers-read.ts';
import { signedRequestOf } from '../../../src/authz/message-signature.ts';
import { checkRequest, policy, policyTable, type RequestFields } from '../../support/check.ts';
import { signaturePolicy } from '../../support/signed-check.ts';

const PARTIAL = 'x-envoy-auth-partial-body';

describe('the signed request', () => {
  it('has the external scheme and host in place of those that Envoy sees', () => {
    const request = checkRequest({ method: 'PUT', path: '/a?b', host: 'internal:8080' });
    expect(signedRequestOf(request, signaturePolicy())).toMatchObject({
      method: 'PUT',
      scheme: 'https',
      authority: 'internal:8080',
      path: '/a?b',
    });
    const outside = signaturePolicy({ externalScheme: 'http', externalHost: 'api.example.com' });
    expect(signedRequestOf(request, outside)).toMatchObject({ scheme: 'http', authority: 'api.example.com' });
  });

  it.each<{ name: string; fields: RequestFields; expected: unknown }>([
    { name: 'unseen if Envoy sent none', fields: {}, expected: { kind: 'unseen' } },
    {
      name: 'complete if Envoy says so, also if it is empty',
      fields: { headers: { [PARTIAL]: 'false' } },
      expected: { kind: 'complete', bytes: Buffer.alloc(0) },
    },
    {
      name: 'complete with its bytes',
      fields: { body: Buffer.from('a'), headers: { [PARTIAL]: 'false' } },
      expected: { kind: 'complete', bytes: Buffer.from('a') },
    },
    {
      name: 'complete if another client sends bytes alone',
      fields: { body: Buffer.from('a') },
      expected: { kind: 'complete', bytes: Buffer.from('a') },
    },
    {
      name: 'truncated if Envoy says so',
      fields: { body: Buffer.from('a'), headers: { [PARTIAL]: 'true' } },
      expected: { kind: 'truncated' },
    },
    {
      name: 'truncated if one of two headers says so',
      fields: { body: Buffer.from('a'), headers: { [PARTIAL]: ['false', 'true'] } },
      expected: { kind: 'truncated' },
    },
  ])('has a body that is $name', ({ fields, expected }) => {
    expect(signedRequestOf(checkRequest(fields), signaturePolicy()).body).toEqual(expected);
  });

  it('collects all headers only for one that no policy reads by itself', () => {
    let passes = 0;
    const all = new Map([['x-device', [Buffer.from('a')]]]);
    const request = checkRequest({
      headers: { authorization: 'b' },
      allHeaders() {
        passes++;
        return all;
      },
    });
    const { headerValues } = signedRequestOf(request, signaturePolicy());
    expect(headerValues('authorization')).toEqual([Buffer.from('b')]);
    expect(headerValues('content-digest')).toEqual([]);
    expect(passes).toBe(0);
    expect(headerValues('x-device')).toEqual([Buffer.from('a')]);
    expect(headerValues('x-other')).toEqual([]);
    expect(passes).toBe(2);
  });
});

describe('the headers of a policy with message signatures', () => {
  const signed = policyTable(policy({ messageSignature: signaturePolicy() }));
  const plain = policyTable(policy());

  it('are also those about signatures, and those that SDKs sign', () => {
    const more = [...headersReadUnder(signed)].filter((name) => !headersReadUnder(plain).has(name));
    expect(more.sort()).toEqual([
      'authorization',
      'content-digest',
      'content-length',
      'content-type',
      'signature',
      'signature-base-digest',
      'signature-input',
      'transfer-encoding',
    ]);
  });

  it('are decoded with the one that Envoy adds, which it sends without being configured to', () => {
    const more = [...headersDecodedUnder(signed)].filter((name) => !headersReadUnder(signed).has(name));
    expect(more).toEqual([PARTIAL]);
    expect(headersDecodedUnder(plain)).toEqual(headersReadUnder(plain));
  });
});
