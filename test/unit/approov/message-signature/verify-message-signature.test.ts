/** Tests the steps of verifying message signatures: what is required, their order, times, components and limits. */
import { describe, expect, it } from 'vitest';
import {
  CLAIMS,
  CREATED,
  decideSigned,
  INSTALL_KEY,
  ipkOf,
  KEYS,
  LINES,
  type Line,
  outcomeOf,
  PARAMETERS,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { signedRequest } from '../../../support/signed-request.ts';

describe('the signatures that a policy requires', () => {
  const unsigned = signedRequest({ headers: { 'approov-token': 'token' } });

  it.each([
    ['not_required', { install: 'off', account: 'off' }, CLAIMS],
    ['not_required', { install: 'when-ipk', account: 'when-mskid' }, {}],
    ['missing_message_signature', { install: 'when-ipk', account: 'off' }, { ipk: '' }],
    ['missing_message_signature', { install: 'when-ipk', account: 'off' }, { ipk: null }],
    ['missing_message_signature', { install: 'required', account: 'off' }, {}],
    ['missing_message_signature', { install: 'off', account: 'when-mskid' }, { mskid: 'unknown' }],
    ['missing_message_signature', { install: 'off', account: 'required' }, {}],
  ] as const)(
    'are decided for an unsigned request as %s under %j with the claims %j',
    (outcome, options, claims) => {
      expect(outcomeOf(verifyRequest(unsigned, { options, claims }))).toBe(outcome);
    },
  );

  it('are not read where none is required', () => {
    const malformed = signedRequest({ headers: { 'signature-input': '(', signature: '(' } });
    expect(outcomeOf(verifyRequest(malformed, { claims: {} }))).toBe('not_required');
  });

  it.each([
    ['no ipk', 'install', {}],
    ['an ipk that is not a string', 'install', { ipk: 1 }],
    ['an ipk that is not base64', 'install', { ipk: 'not base64!' }],
    ['an unknown mskid', 'account', { mskid: 'unknown' }],
    ['an mskid that is not a string', 'account', { mskid: ['j3AWy6'] }],
    ['no mskid', 'account', {}],
  ] as const)('are invalid if they are there, but the token has %s', (_, label, claims) => {
    const options = { install: 'off', account: 'off', [label]: 'required' } as const;
    expect(decideSigned({ label, claims, options })).toBe('invalid_message_signature: no_key');
  });
});

describe('the reasons', () => {
  it('come in their order: the first step that fails names the reason', () => {
    const body = { method: 'POST', body: 'changed' };
    const lines: readonly Line[] = [
      ['"@method"', 'POST'],
      ['"content-digest"', 'sha-256=:AAAA:'],
    ];
    const digest = { 'content-digest': 'sha-256=:AAAA:' };
    const late = CREATED + 1000;
    const every = { lines, request: { ...body, headers: digest }, now: late };
    const account = { account: 'when-mskid' } as const;
    expect(
      decideSigned({ ...every, options: account, request: { ...body, method: 'PUT', headers: digest } }),
    ).toBe('missing_message_signature');
    expect(decideSigned({ ...every, request: { ...body, method: 'PUT', headers: digest } })).toBe(
      'invalid_message_signature: not_verified',
    );
    expect(decideSigned(every)).toBe('message_signature_expired: expired');
    expect(decideSigned({ ...every, now: CREATED })).toBe(
      'missing_signed_components: @target-uri,approov-token',
    );
    const covering = { ...every, now: CREATED, options: { requiredComponents: ['@method'] } };
    expect(decideSigned(covering)).toBe('content_digest_mismatch');
    expect(decideSigned({ ...covering, options: { ...covering.options, contentDigest: 'off' } })).toBe(
      'verified',
    );
  });

  it('do not depend on parameters that nobody signed', () => {
    const forged = { ...signLines({ lines: LINES }), 'approov-token': 'token' };
    const input = forged['signature-input'].replace(`created=${CREATED}`, 'created=1');
    const request = signedRequest({ headers: { ...forged, 'signature-input': input } });
    expect(outcomeOf(verifyRequest(request))).toBe('invalid_message_signature: not_verified');
  });
});

describe('the lifetime of a signature', () => {
  const at = (now: number, parameters: string, maxAgeSeconds = 300, clockToleranceSeconds = 60): string =>
    decideSigned({ parameters, now, options: { maxAgeSeconds, clockToleranceSeconds } });
  const bounded = `;created=${CREATED};expires=${CREATED + 15}`;
  const unbounded = `;created=${CREATED}`;
  const long = `;created=${CREATED};expires=${CREATED + 100_000}`;

  it.each([
    [CREATED - 60, bounded, 'verified'],
    [CREATED - 60.01, bounded, 'message_signature_expired: created_in_the_future'],
    [CREATED + 74.99, bounded, 'verified'],
    [CREATED + 75, bounded, 'message_signature_expired: expired'],
    [CREATED + 359.99, unbounded, 'verified'],
    [CREATED + 360, unbounded, 'message_signature_expired: too_old'],
    [CREATED + 360, long, 'message_signature_expired: too_old'],
    [Number.NaN, bounded, 'message_signature_expired: created_in_the_future'],
  ])('at %d with %s: %s', (now, parameters, outcome) => {
    expect(at(now, parameters)).toBe(outcome);
  });

  it('ends with created + maxAgeSeconds, without tolerance too', () => {
    expect(at(CREATED + 9, unbounded, 10, 0)).toBe('verified');
    expect(at(CREATED + 10, unbounded, 10, 0)).toBe('message_signature_expired: too_old');
    expect(at(CREATED - 1, unbounded, 10, 0)).toBe('message_signature_expired: created_in_the_future');
  });

  it('may end before it began, if the device says so', () => {
    const backwards = `;created=${CREATED};expires=${CREATED - 100}`;
    expect(at(CREATED, backwards)).toBe('message_signature_expired: expired');
  });
});

describe('the required components', () => {
  const TOKEN_LINE: Line = ['"approov-token"', 'token'];
  const METHOD: Line = ['"@method"', 'GET'];
  const AUTHORITY: Line = ['"@authority"', 'api.example.com'];
  const PATH: Line = ['"@path"', '/v1/shapes'];
  const QUERY: Line = ['"@query"', '?q'];

  it.each([
    [[METHOD, AUTHORITY, PATH, TOKEN_LINE], '/v1/shapes', 'verified'],
    [[METHOD, AUTHORITY, PATH, TOKEN_LINE], '/v1/shapes?q', 'missing_signed_components: @query'],
    [[METHOD, AUTHORITY, PATH, TOKEN_LINE], '/v1/shapes?', 'missing_signed_components: @query'],
    [[METHOD, AUTHORITY, PATH, QUERY, TOKEN_LINE], '/v1/shapes?q', 'verified'],
    [[METHOD, PATH, TOKEN_LINE], '/v1/shapes', 'missing_signed_components: @authority'],
    [[METHOD, AUTHORITY, TOKEN_LINE], '/v1/shapes', 'missing_signed_components: @path'],
    [[METHOD, TOKEN_LINE], '/v1/shapes', 'missing_signed_components: @target-uri'],
    [[AUTHORITY, PATH], '/v1/shapes', 'missing_signed_components: @method,approov-token'],
    [[], '/v1/shapes', 'missing_signed_components: @method,@target-uri,approov-token'],
  ])('by default, with %j signed for %s: %s', (lines, path, outcome) => {
    expect(decideSigned({ lines, request: { path } })).toBe(outcome);
  });

  it('are those of a list, if there is one', () => {
    const options = { requiredComponents: ['@path', 'authorization'] };
    expect(decideSigned({ options, lines: [PATH] })).toBe('missing_signed_components: authorization');
    expect(
      decideSigned({
        options,
        lines: [
          ['"@path"', '/v1/shapes'],
          ['"authorization"', 'a'],
        ],
        request: { headers: { authorization: 'a' } },
      }),
    ).toBe('verified');
  });

  it('must be covered by each signature that is required', () => {
    const install = signLines({ lines: LINES });
    const account = signLines({ label: 'account', lines: [METHOD] });
    const headers = {
      'approov-token': 'token',
      'signature-input': [install['signature-input'], account['signature-input']],
      signature: [install.signature, account.signature],
    };
    const result = verifyRequest(signedRequest({ headers }), { options: { account: 'required' } });
    expect(result).toMatchObject({
      failure: { label: 'account', components: ['@target-uri', 'approov-token'] },
    });
  });
});

describe('the effort of a check', () => {
  /** Whose every reading differs, and whose signature is of no reading. */
  const expensive = signedRequest({
    authority: 'API.example.com:443',
    path: '/',
    headers: {
      ...signLines({
        lines: [
          ['"@target-uri"', 'x'],
          ['"@authority"', 'x'],
          ['"@path"', 'x'],
          ['"@query"', 'x'],
        ],
      }),
    },
  });

  it('is at most six public-key verifications for a signature', () => {
    const result = verifyRequest(expensive);
    expect(result).toMatchObject({ failure: { signature: { problem: 'not_verified' } } });
    const bases =
      result.kind === 'failed' && 'signature' in result.failure ? result.failure.signature.bases : [];
    expect(bases).toHaveLength(6);
  });

  it('counts those of the token, and ends in internal_error', () => {
    expect(outcomeOf(verifyRequest(expensive, { publicKeysLeft: 6 }))).toBe(
      'invalid_message_signature: not_verified',
    );
    expect(outcomeOf(verifyRequest(expensive, { publicKeysLeft: 5 }))).toBe(
      'internal_error: too_many_verifications',
    );
    expect(decideSigned({ publicKeysLeft: 1 })).toBe('verified');
    expect(decideSigned({ publicKeysLeft: 0 })).toBe('internal_error: too_many_verifications');
  });

  it('does not count account signatures, which take no public key', () => {
    const options = { install: 'off', account: 'required' } as const;
    expect(decideSigned({ label: 'account', options, publicKeysLeft: 0 })).toBe('verified');
  });

  it('is bounded by the length of the headers and by the number of labels and components', () => {
    const { 'signature-input': input, signature } = signLines({ lines: LINES });
    const labels = (count: number) => Array.from({ length: count }, (_, index) => `x${index}`);
    const withInputs = (...inputs: readonly string[]) =>
      outcomeOf(
        verifyRequest(
          signedRequest({
            headers: { 'approov-token': 'token', signature, 'signature-input': [input, ...inputs] },
          }),
        ),
      );
    const room = 4096 - input.length - 'x=""'.length;
    expect(withInputs(`x="${'a'.repeat(room)}"`)).toBe('verified');
    expect(withInputs(`x="${'a'.repeat(room + 1)}"`)).toBe('invalid_message_signature: too_long');
    expect(withInputs(...labels(7))).toBe('verified');
    expect(withInputs(...labels(8))).toBe('invalid_message_signature: too_many_members');

    const withSignatures = (...signatures: readonly string[]) =>
      outcomeOf(
        verifyRequest(
          signedRequest({
            headers: {
              'approov-token': 'token',
              'signature-input': input,
              signature: [signature, ...signatures],
            },
          }),
        ),
      );
    expect(withSignatures(`x="${'a'.repeat(8192 - signature.length - 4)}"`)).toBe('verified');
    expect(withSignatures(`x="${'a'.repeat(8192 - signature.length - 3)}"`)).toBe(
      'invalid_message_signature: too_long',
    );
    expect(withSignatures(...labels(8))).toBe('invalid_message_signature: too_many_members');
  });

  it('stays the same for each request: an install key is imported once', () => {
    const before = KEYS.installKeys.size;
    expect(decideSigned({ claims: { ipk: ipkOf(INSTALL_KEY.publicKey) } })).toBe('verified');
    expect(decideSigned({ parameters: PARAMETERS })).toBe('verified');
    expect(KEYS.installKeys.size).toBe(Math.max(before, 1));
  });
});
