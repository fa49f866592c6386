/** Tests what signRequest covers and writes, and that the verifier and another implementation accept it. */
import { createPrivateKey } from 'node:crypto';
import { createVerifier, httpbis } from 'http-message-signatures';
import { describe, expect, it } from 'vitest';
import {
  accountSigner,
  installSigner,
  ipkClaim,
  sdkComponents,
  signRequest,
} from '../../../../src/approov/message-signature/sign-request.ts';
import { Secret } from '../../../../src/approov/secret.ts';
import {
  ACCOUNT_SECRET,
  CREATED,
  INSTALL_KEY,
  MSKID,
  outcomeOf,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

const SIGNERS = {
  install: installSigner(INSTALL_KEY.privateKey),
  account: accountSigner(Secret.parse(ACCOUNT_SECRET.toString('base64'))),
};
const BOTH = [SIGNERS.install, SIGNERS.account];
const LIFETIME = { created: CREATED, expires: CREATED + 15 };

const FIELDS = {
  method: 'POST',
  path: '/v1/shapes?size=1',
  headers: {
    'content-type': 'application/json',
    'x-other': 'x',
    'approov-token': 'token',
    authorization: 'Bearer abc',
  },
} as const satisfies RequestFields;

function sign(fields: RequestFields, signers = BOTH) {
  const request = signedRequest(fields);
  const components = sdkComponents(request, 'approov-token');
  return signRequest(request, signers, { components, ...LIFETIME });
}

describe('a signed request', () => {
  it('covers what the SDKs cover, in their order, and names algorithm and lifetime', () => {
    const covered = '("@method" "@target-uri" "approov-token" "authorization" "content-type")';
    expect(sign(FIELDS)?.['signature-input']).toBe(
      `install=${covered};created=1795500000;expires=1795500015;alg="ecdsa-p256-sha256", ` +
        `account=${covered};created=1795500000;expires=1795500015;alg="hmac-sha256"`,
    );
  });

  it('is verified under both labels, and not once anything that it covers is changed', () => {
    const claims = { ipk: ipkClaim(INSTALL_KEY.privateKey), mskid: MSKID };
    const options = { install: 'required', account: 'required' } as const;
    const signature = sign(FIELDS);
    const decide = (changed: RequestFields): string => {
      const headers = { ...FIELDS.headers, ...changed.headers, ...signature };
      return outcomeOf(verifyRequest(signedRequest({ ...FIELDS, ...changed, headers }), { claims, options }));
    };
    expect(decide({})).toBe('verified');
    expect(decide({ headers: { 'x-other': 'y' } })).toBe('verified');
    expect(decide({ path: '/v1/shapes?size=2' })).toBe('invalid_message_signature: not_verified');
    expect(decide({ headers: { authorization: 'Bearer abd' } })).toBe(
      'invalid_message_signature: not_verified',
    );
  });

  it.each([
    ['install', INSTALL_KEY.publicKey, 'ecdsa-p256-sha256'],
    ['account', ACCOUNT_SECRET, 'hmac-sha256'],
  ] as const)(
    'is verified by another implementation of RFC 9421 under the label %s',
    async (label, key, algorithm) => {
      const verify = createVerifier(key, algorithm);
      const config = {
        keyLookup: async () => ({ algs: [algorithm], verify }),
        notAfter: new Date(CREATED * 1000),
        tolerance: 1_000_000_000,
      };
      const url = `https://api.example.com${FIELDS.path}`;
      const headers = { ...FIELDS.headers, ...sign(FIELDS, [SIGNERS[label]]) };
      expect(await httpbis.verifyMessage(config, { method: 'POST', url, headers })).toBe(true);
      expect(await httpbis.verifyMessage(config, { method: 'PUT', url, headers })).toBe(false);
    },
  );

  it('covers a token header named authorization once', () => {
    expect(sdkComponents(signedRequest(FIELDS), 'authorization')).toEqual([
      '@method',
      '@target-uri',
      'authorization',
      'content-type',
    ]);
  });

  it('does not exist for a host that is not that of a URL, or without the token', () => {
    expect(sign({ ...FIELDS, authority: 'a/b' })).toBeUndefined();
    expect(sign({ ...FIELDS, headers: {} })).toBeUndefined();
  });
});

describe('a signer', () => {
  it('signs for the account as RFC 9421 §B.2.5 does', () => {
    const secret = Secret.parse(
      'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
    );
    const base = [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@authority": example.com',
      '"content-type": application/json',
      '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    ].join('\n');
    expect(accountSigner(secret).sign(base).toString('base64')).toBe(
      'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
    );
  });

  it('has the ipk of its key, as Approov writes it', () => {
    // RFC 9421 §B.1.3.
    const key = createPrivateKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: 'qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA',
        y: 'Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0',
        d: 'UpuF81l-kOxbjf7T4mNSv0r5tN67Gim7rnf6EFpcYDs',
      },
    });
    expect(ipkClaim(key)).toBe(
      'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==',
    );
  });
});
