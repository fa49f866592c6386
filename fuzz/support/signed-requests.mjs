/** The requests of the target `signature` that are signed, and what else may be accepted. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';

export const NOW = 1_800_000_000;
export const SECRET = Buffer.alloc(32, 'fuzz');
const BODY = 'body';
/** Stands for a body of which Envoy sent a part. */
export const TRUNCATED = '\x01';
const DIGEST = `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`;

/** @type {import('../../src/approov/message-signature/options.ts').MessageSignatureOptions} */
export const options = {
  install: 'when-ipk',
  account: 'when-mskid',
  requiredComponents: 'default',
  contentDigest: 'if-present',
  maxAgeSeconds: 300,
  clockToleranceSeconds: 60,
  acceptDerSignatures: true,
  tokenHeader: 'approov-token',
};

/** @param {string} base */
export const sign = (base) =>
  `account=:${createHmac('sha256', SECRET).update(base, 'latin1').digest('base64')}:`;

export const PARAMETERS = `("@method" "@target-uri" "approov-token" "content-digest");created=${NOW};expires=${NOW + 15}`;
export const GENUINE = {
  'signature-input': `account=${PARAMETERS}`,
  signature: sign(
    `"@method": GET\n"@target-uri": https://api.example.com/v1?a=b\n"approov-token": t\n"content-digest": ${DIGEST}\n"@signature-params": ${PARAMETERS}`,
  ),
  method: 'GET',
  authority: 'api.example.com',
  path: '/v1?a=b',
  'approov-token': 't',
  'content-digest': DIGEST,
  'content-length': String(BODY.length),
  body: BODY,
};

/** In parts, as iOS signs them. */
const PARTS = `("@method" "@authority" "@path" "@query" "approov-token");created=${NOW}`;
export const GENUINE_PARTS = {
  'signature-input': `account=${PARTS}`,
  signature: sign(
    `"@method": GET\n"@authority": api.example.com\n"@path": /v1/a b\n"@query": c=d\n"approov-token": t\n"@signature-params": ${PARTS}`,
  ),
  path: '/v1/a%20b?c=d',
};

/** What a signature of any text must cover. @param {Record<string, string>} fields */
export function assertAcceptable(fields) {
  const input = fields['signature-input'] ?? '';
  for (const name of ['"@method"', '"approov-token"'])
    assert.ok(input.includes(name), `accepted without ${name}`);
  assert.ok(input.includes('"@target-uri"') || input.includes('"@path"'), 'accepted without the path');
  assert.ok(/; *created=-?\d/.test(input), 'accepted without created');
  const [, created] = /^account=\([^)]*\); *created=(\d+)$/.exec(input) ?? [];
  const age = Math.abs(Number(created ?? NOW) - NOW);
  assert.ok(age <= options.maxAgeSeconds + options.clockToleranceSeconds, 'accepted at another time');
  if (/^account=\([^)]*"content-digest"/.test(input)) assertDigest(fields);
}

/** What `#` asks for. @param {Record<string, string>} fields */
export function assertStrict(fields) {
  const { body, 'signature-input': input = '' } = fields;
  assert.ok(input.includes('"@path"'), 'accepted without the path');
  if (body === undefined) return;
  assert.ok(input.includes('"content-digest"'), 'accepted without a digest');
  assertDigest(fields);
}

/** @param {Record<string, string>} fields */
function assertDigest({ body, 'content-digest': digest = '' }) {
  assert.notEqual(body, TRUNCATED, 'accepted with a part of the body');
  if (body === undefined) return;
  const bytes = Buffer.from(body, 'latin1');
  const isRight = ['sha256', 'sha512'].some((hash) =>
    digest.includes(createHash(hash).update(bytes).digest('base64').replaceAll('=', '')),
  );
  assert.ok(isRight, 'accepted with another body');
}

/** Only spellings that mean the same may differ. @param {Record<string, string>} fields */
export function assertGenuine(fields) {
  // A body that Envoy did not send is not compared.
  const { authority = '', path = '', body = BODY, method, 'signature-input': input = '' } = fields;
  const isWhole = input.includes(`account=${PARAMETERS}`);
  assert.ok(isWhole || input.includes(`account=${PARTS}`), 'accepted with other parameters');
  assert.equal(method, GENUINE.method, 'accepted with another method');
  assert.equal(
    fields['approov-token']?.replace(/^[ \t\r]+|[ \t\r]+$/g, ''),
    't',
    'accepted with another token',
  );
  const host = authority.toLowerCase();
  // As iOS reads them, `@authority` is without its port, and `@path` is decoded.
  assert.equal(
    host.replace(isWhole ? /:(443)?$/ : /:\d*$/, ''),
    GENUINE.authority,
    'accepted for another host',
  );
  if (isWhole) assert.equal(path, GENUINE.path, 'accepted for another path');
  else assert.equal(path.replace(/%20/g, ' '), '/v1/a b?c=d', 'accepted for another path');
  if (isWhole) assertDigest({ ...fields, body });
}
