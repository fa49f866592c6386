/** Tests that the messages of each generation of Approov's SDKs verify, as they are documented to be signed. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { MessageSignatureOptions } from '../../../../src/approov/message-signature/options.ts';
import {
  CREATED,
  joinSignatures,
  type Line,
  outcomeOf,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

const TOKEN = 'header.payload.signature';
const BODY = '{"shape":"circle"}';
const DIGEST = `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`;
const EMPTY_DIGEST = `sha-256=:${createHash('sha256').digest('base64')}:`;

const ALG_FIRST = `;alg="ecdsa-p256-sha256";created=${CREATED};expires=${CREATED + 15}`;
const asString = (bytes: Buffer): string => `"${bytes.toString('base64')}"`;

/** The lines that every SDK signs first. */
function startOf(uri: string, method = 'GET'): readonly Line[] {
  return [
    ['"@method"', method],
    ['"@target-uri"', uri],
    ['"approov-token"', TOKEN],
  ];
}

interface Generation {
  readonly name: string;
  readonly request?: RequestFields;
  readonly lines: readonly Line[];
  readonly parameters?: string;
  readonly encode?: (signature: Buffer) => string;
  readonly options?: Partial<MessageSignatureOptions>;
  /** The reading with which it verifies, `rfc9421` unless given. */
  readonly reading?: string;
  readonly contentDigest?: string;
}

const POST_LINES: readonly Line[] = [
  ...startOf('https://api.example.com/v1/shapes?size=large', 'POST'),
  ['"authorization"', 'Bearer abc'],
  ['"content-length"', '18'],
  ['"content-type"', 'application/json; charset=utf-8'],
  ['"content-digest"', DIGEST],
];

const POST: RequestFields = {
  method: 'POST',
  path: '/v1/shapes?size=large',
  body: BODY,
  headers: {
    'approov-token': TOKEN,
    authorization: 'Bearer abc',
    'content-length': '18',
    'content-type': 'application/json; charset=utf-8',
    'content-digest': DIGEST,
  },
};

const GENERATIONS: readonly Generation[] = [
  {
    name: 'okhttp to 3.5.1, with `alg` first',
    request: POST,
    lines: POST_LINES,
    parameters: ALG_FIRST,
    contentDigest: 'matches',
  },
  {
    name: 'okhttp 3.5.2 to 3.5.7, with the signature as a string',
    request: POST,
    lines: POST_LINES,
    parameters: ALG_FIRST,
    encode: asString,
    contentDigest: 'matches',
  },
  {
    name: 'okhttp 3.5.8, with an empty trace id',
    request: { headers: { 'approov-token': TOKEN, 'approov-traceid': '' } },
    lines: [...startOf('https://api.example.com/v1/shapes'), ['"approov-traceid"', '']],
  },
  {
    name: 'okhttp 3.7, with an empty token header and a status',
    request: { headers: { 'approov-token': '', 'approov-status': 'no_network' } },
    lines: [
      ['"@method"', 'GET'],
      ['"@target-uri"', 'https://api.example.com/v1/shapes'],
      ['"approov-token"', ''],
      ['"approov-status"', 'no_network'],
    ],
  },
  {
    name: 'okhttp 3.5.5, with a status word in the token header',
    request: { headers: { 'approov-token': 'NO_NETWORK' } },
    lines: [
      ['"@method"', 'GET'],
      ['"@target-uri"', 'https://api.example.com/v1/shapes'],
      ['"approov-token"', 'NO_NETWORK'],
    ],
  },
  {
    name: 'okhttp to 3.7 with parts instead of @target-uri, at another port',
    request: { authority: 'api.example.com:8443', path: '/v1?q=1', headers: { 'approov-token': TOKEN } },
    lines: [
      ['"@method"', 'GET'],
      ['"@authority"', 'api.example.com'],
      ['"@path"', '/v1'],
      ['"@query"', 'q=1'],
      ['"approov-token"', TOKEN],
    ],
    reading: 'okhttp',
  },
  {
    name: 'Android 3.8, with the digest of an empty body and with parts',
    request: {
      method: 'DELETE',
      authority: 'API.example.com:8443',
      path: '/v1/shapes/7',
      headers: { 'approov-token': TOKEN, 'content-digest': EMPTY_DIGEST, 'content-length': '0' },
    },
    lines: [
      ['"@method"', 'DELETE'],
      ['"@authority"', 'api.example.com:8443'],
      ['"@path"', '/v1/shapes/7'],
      ['"@query"', '?'],
      ['"approov-token"', TOKEN],
      ['"content-length"', '0'],
      ['"content-digest"', EMPTY_DIGEST],
    ],
    contentDigest: 'matches',
  },
  {
    name: 'any, whose app covers a query parameter too, and asks for sha-512',
    request: {
      ...POST,
      headers: {
        'approov-token': TOKEN,
        'content-digest': `sha-512=:${createHash('sha512').update(BODY).digest('base64')}:`,
      },
    },
    lines: [
      ...startOf('https://api.example.com/v1/shapes?size=large', 'POST'),
      ['"@query-param";name="size"', 'large'],
      ['"content-digest"', `sha-512=:${createHash('sha512').update(BODY).digest('base64')}:`],
    ],
    contentDigest: 'matches',
  },
  {
    name: 'URLSession for a URL without a path',
    request: { path: '/?q=1', headers: { 'approov-token': TOKEN } },
    lines: startOf('https://api.example.com?q=1'),
    reading: 'ios',
  },
  {
    name: 'Alamofire with parts of an encoded path',
    request: { path: '/caf%C3%A9', headers: { 'approov-token': TOKEN } },
    lines: [
      ['"@method"', 'GET'],
      ['"@authority"', 'api.example.com'],
      ['"@path"', '/caf\u00c3\u00a9'],
      ['"approov-token"', TOKEN],
    ],
    reading: 'ios',
  },
  {
    name: 'Flutter with parts',
    request: { authority: 'api.example.com:8443', path: '/?q=a', headers: { 'approov-token': TOKEN } },
    lines: [
      ['"@method"', 'GET'],
      ['"@authority"', 'api.example.com:8443'],
      ['"@path"', '/'],
      ['"@query"', 'q=a'],
      ['"approov-token"', TOKEN],
    ],
    reading: 'flutter',
  },
  {
    name: 'Flutter with a prefix before the token',
    request: { headers: { 'approov-token': `Bearer ${TOKEN}` } },
    lines: [
      ['"@method"', 'GET'],
      ['"@target-uri"', 'https://api.example.com/v1/shapes'],
      ['"approov-token"', `Bearer ${TOKEN}`],
    ],
  },
  {
    name: 'iOS for a URL that names port 443',
    request: { headers: { 'approov-token': TOKEN } },
    lines: startOf('https://api.example.com:443/v1/shapes'),
    reading: 'explicitPort',
  },
  {
    name: 'a client that sends the port 443 but signs without it',
    request: { authority: 'api.example.com:443', headers: { 'approov-token': TOKEN } },
    lines: startOf('https://api.example.com/v1/shapes'),
    reading: 'normalised',
  },
  {
    name: '3.8 with the token in Authorization',
    request: { headers: { authorization: `Bearer ${TOKEN}` } },
    lines: [
      ['"@method"', 'GET'],
      ['"@target-uri"', 'https://api.example.com/v1/shapes'],
      ['"authorization"', `Bearer ${TOKEN}`],
    ],
    options: { tokenHeader: 'authorization' },
  },
  {
    name: 'any, without `alg` and `expires`',
    request: { headers: { 'approov-token': TOKEN } },
    lines: startOf('https://api.example.com/v1/shapes'),
    parameters: `;created=${CREATED}`,
  },
  {
    name: 'any, with a key id, a nonce and a tag',
    request: { headers: { 'approov-token': TOKEN } },
    lines: startOf('https://api.example.com/v1/shapes'),
    parameters: `;keyid="k";nonce="n,\\"";created=${CREATED};tag="t";x=?0;expires=${CREATED + 60}`,
  },
];

describe('a message of', () => {
  it.each(GENERATIONS)(
    '$name verifies',
    ({ request = {}, options = {}, reading = 'rfc9421', ...generation }) => {
      const signature = signLines(generation);
      const sent = signedRequest({ ...request, headers: { ...request.headers, ...signature } });
      const result = verifyRequest(sent, { options });
      expect(outcomeOf(result)).toBe('verified');
      expect(result).toMatchObject({
        signatures: [{ label: 'install', reading }],
        contentDigest: generation.contentDigest ?? 'not_covered',
      });
    },
  );

  it.each(GENERATIONS)('$name does not verify with another method', (generation) => {
    const { request = {}, options = {} } = generation;
    const headers = { ...request.headers, ...signLines(generation) };
    const sent = signedRequest({ ...request, method: 'PATCH', headers });
    expect(outcomeOf(verifyRequest(sent, { options }))).toBe('invalid_message_signature: not_verified');
  });
});

describe('messages with both signatures', () => {
  const lines = startOf('https://api.example.com/v1/shapes');
  const install = signLines({ lines });
  const account = signLines({ label: 'account', lines });
  const verifyBoth = (signatures: RequestFields['headers'], options: Partial<MessageSignatureOptions>) =>
    verifyRequest(signedRequest({ headers: { 'approov-token': TOKEN, ...signatures } }), { options });

  it.each([
    ['both', { account: 'when-mskid' }, ['install', 'account']],
    ['the install signature', { account: 'off' }, ['install']],
    ['the account signature', { install: 'off', account: 'required' }, ['account']],
  ] as const)('are verified by %s where the policy says so', (_, options, labels) => {
    for (const headers of [joinSignatures(install, account), joinSignatures(account, install)]) {
      const result = verifyBoth(headers, options);
      expect(result.kind === 'verified' && result.signatures.map(({ label }) => label)).toEqual(labels);
    }
  });

  it('may come in a header each, beside signatures of others', () => {
    const headers = {
      'signature-input': [
        'proxy=("@status";req "x";sf);alg="rsa-pss-sha512"',
        `${install['signature-input']},${account['signature-input']}`,
      ],
      signature: [`${install.signature} ,${account.signature}`, 'proxy=:AAAA:, other=("?")'],
    };
    expect(outcomeOf(verifyBoth(headers, { account: 'required' }))).toBe('verified');
  });

  it.each([
    ['install', 'missing_message_signature', { account: 'when-mskid' }, account],
    ['account', 'missing_message_signature', { account: 'when-mskid' }, install],
    ['account', 'verified', { account: 'off' }, install],
    ['install', 'verified', { install: 'off', account: 'required' }, account],
  ] as const)('without the %s signature are decided as %s under %j', (_, outcome, options, headers) => {
    expect(outcomeOf(verifyBoth(headers, options))).toBe(outcome);
  });

  it('name the key of the configuration for the account signature alone', () => {
    const result = verifyBoth(joinSignatures(install, account), { account: 'required' });
    expect(result.kind === 'verified' && result.signatures.map(({ key }) => key.keyId)).toEqual([
      undefined,
      'account-key',
    ]);
  });

  it('may have the account signature as a string, too', () => {
    const headers = signLines({ label: 'account', lines, encode: asString });
    expect(outcomeOf(verifyBoth(headers, { install: 'off', account: 'required' }))).toBe('verified');
  });
});
