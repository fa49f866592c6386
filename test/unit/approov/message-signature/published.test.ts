/** Tests the decisions about the signed messages that Approov and the RFCs published. */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { InstallKeys } from '../../../../src/approov/message-signature/install-keys.ts';
import { Secret } from '../../../../src/approov/secret.ts';
import { keysetOf, symmetricKey, tokenOrReason } from '../../../support/check.ts';
import { ipkOf, outcomeOf, verifyRequest } from '../../../support/message-signature.ts';
import { PUBLISHED_MESSAGES, type PublishedMessage } from '../../../support/published.ts';
import { signedRequest } from '../../../support/signed-request.ts';

/** Seconds after their `created`. */
const NOW = 1_744_292_755;
const AFTER_15_SECONDS = NOW + 100;

const OUTCOMES: Readonly<Record<string, string>> = {
  accept: 'verified',
  'reject:message-signature': 'invalid_message_signature: not_verified',
  'reject:signature-expired': 'message_signature_expired: expired',
  'reject:missing-signature': 'missing_message_signature',
};

function requestOf({ headers, token, method, url }: PublishedMessage) {
  const { host, pathname, search } = new URL(url);
  const lowerCase = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return signedRequest({
    method,
    scheme: 'http',
    authority: host,
    path: `${pathname}${search}`,
    headers: { ...Object.fromEntries(lowerCase), 'approov-token': token },
  });
}

function decide(vector: PublishedMessage, requiredComponents: 'default' | readonly string[]): string {
  const token = tokenOrReason(vector.token, keysetOf(symmetricKey({ secret: vector.secret_base64 })));
  if (typeof token === 'string') throw new Error(token);
  const now = vector.expect === 'reject:signature-expired' ? AFTER_15_SECONDS : NOW;
  return outcomeOf(
    verifyRequest(requestOf(vector), { claims: token.claims, options: { requiredComponents }, now }),
  );
}

describe('the messages that Approov published', () => {
  it.each(PUBLISHED_MESSAGES)('$name: $expect', (vector) => {
    expect(decide(vector, ['@method', 'approov-token'])).toBe(OUTCOMES[vector.expect]);
  });

  it('decide alike where @target-uri is required, but for the one that does not cover it', () => {
    const outcomes = PUBLISHED_MESSAGES.map((vector) => [vector.name, decide(vector, 'default')]);
    const expected = PUBLISHED_MESSAGES.map(({ name, expect: expectation }) => [
      name,
      name.startsWith('msg TEST1') ? 'missing_signed_components: @target-uri' : OUTCOMES[expectation],
    ]);
    expect(outcomes).toEqual(expected);
  });

  it('have the published signature bases where they are accepted', () => {
    const accepted = PUBLISHED_MESSAGES.filter((vector) => vector.expect === 'accept');
    const bases = accepted.map((vector) => {
      const result = verifyRequest(requestOf(vector), {
        claims: { ipk: ipkOfToken(vector.token) },
        options: { requiredComponents: ['@method'] },
        now: NOW,
      });
      return result.kind === 'verified' ? result.signatures[0].bases[0]?.text : undefined;
    });
    expect(bases).toEqual(accepted.map((vector) => vector.signature_base));
    expect(bases).toHaveLength(2);
  });
});

function ipkOfToken(token: string): unknown {
  const [, payload = ''] = token.split('.');
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { ipk: unknown }).ipk;
}

/** RFC 9421 §B.1.3 and §B.1.5. */
const ECC_KEY = createPublicKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA',
    y: 'Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0',
  },
  format: 'jwk',
});
const SHARED_SECRET =
  'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==';

const CLIENT_CERT = [
  ':MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIElu',
  'dGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYI',
  'KoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9',
  'M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAww',
  'CgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/',
  'Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:',
].join('');

describe('the messages of RFC 9421', () => {
  it('verify with our label in §B.2.5 (hmac-sha256)', () => {
    const request = signedRequest({
      method: 'POST',
      authority: 'example.com',
      path: '/foo?param=Value&Pet=dog',
      headers: {
        date: 'Tue, 20 Apr 2021 02:07:55 GMT',
        'content-type': 'application/json',
        'signature-input':
          'account=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
        signature: 'account=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:',
      },
    });
    const keys = {
      installKeys: new InstallKeys(),
      accountKey: () => ({ id: 'test', secret: Secret.parse(SHARED_SECRET) }),
    };
    const options = {
      account: 'required',
      requiredComponents: ['date', '@authority', 'content-type'],
    } as const;
    const result = verifyRequest(request, { options, keys, claims: { mskid: 'x' }, now: 1_618_884_473 });
    expect(outcomeOf(result)).toBe('verified');
  });

  it('verify with our label in §B.3 (ecdsa-p256-sha256, behind a proxy that ends TLS)', () => {
    const request = signedRequest({
      method: 'POST',
      authority: 'service.internal.example',
      path: '/foo?param=Value&Pet=dog',
      headers: {
        'client-cert': CLIENT_CERT,
        'signature-input':
          'install=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"',
        signature:
          'install=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:',
      },
    });
    const options = { requiredComponents: ['@path', '@query', '@method', '@authority', 'client-cert'] };
    const result = verifyRequest(request, {
      options,
      claims: { ipk: ipkOf(ECC_KEY) },
      now: 1_618_884_473,
    });
    expect(outcomeOf(result)).toBe('verified');
  });

  it('verify with the signature of the response in §B.2.4 (ecdsa-p256-sha256)', () => {
    // A response: our verifier does not know `@status`, so only the key and the form of its signature are ours.
    const base = [
      '"@status": 200',
      '"content-type": application/json',
      '"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:',
      '"content-length": 23',
      '"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
    ].join('\n');
    const signature = Buffer.from(
      'wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==',
      'base64',
    );
    const key = new InstallKeys().get(ipkOf(ECC_KEY));
    expect(key?.verify(base, signature)).toBe(true);
    expect(key?.verify(`${base} `, signature)).toBe(false);
  });
});
