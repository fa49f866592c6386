/** Tests message signatures in a running service: published messages, account keys and their rotation, logs and metrics. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { ACCOUNT_SECRET, CLAIMS, MSKID, signAccount } from '../support/message-signature.ts';
import { PATIENCE } from '../support/patience.ts';
import { PUBLISHED_MESSAGES } from '../support/published.ts';
import { signHeaders } from '../support/signed-check.ts';
import { freshToken, SECRET } from '../support/token.ts';

const REASONS: Readonly<Record<string, string>> = {
  accept: 'ok',
  'reject:message-signature': 'invalid_message_signature',
  'reject:signature-expired': 'message_signature_expired',
  'reject:missing-signature': 'missing_message_signature',
};

const scratch = createScratch('message-signatures');
const published = { maxAgeSeconds: 1e9, externalScheme: 'http' };
const CONFIG = {
  keys: [
    { id: 'current', secretFile: scratch.write('current', SECRET) },
    { id: 'published', secretFile: scratch.write('published', PUBLISHED_MESSAGES[0]?.secret_base64 ?? '') },
  ],
  messageSigningKeys: [
    {
      id: 'account',
      mskid: MSKID,
      secretFile: scratch.write('account', ACCOUNT_SECRET.toString('base64')),
    },
  ],
  policies: {
    default: { messageSignature: { account: 'when-mskid' } },
    published: { messageSignature: { ...published, requiredComponents: ['@method', 'approov-token'] } },
    unasked: {},
  },
  log: { checks: 'all' },
};

let service: CheckedService;
let client: CheckClient;
beforeAll(async () => {
  service = await startChecked(scratch, CONFIG);
  client = createCheckClient(service.grpc);
});
afterAll(async () => {
  client?.close();
  await service?.kill();
  scratch.remove();
});

async function reasonOf(
  headers: Readonly<Record<string, string>>,
  http: object = {},
  approov_policy = 'default',
): Promise<string | undefined> {
  const { attributes } = requestWith(headers, { ...http }) as { attributes: object };
  const response = await client.check({
    attributes: { ...attributes, context_extensions: { approov_policy } },
  });
  return metadataOf(response)['approov_reason'];
}

/** Signed now by both keys. */
function signed(account?: (base: string) => Buffer): Readonly<Record<string, string>> {
  return signHeaders({
    token: freshToken(CLAIMS),
    created: Math.floor(Date.now() / 1000),
    labels: ['install', 'account'],
    ...(account === undefined ? {} : { sign: { account } }),
  });
}

describe('the messages that Approov published', () => {
  test.each(PUBLISHED_MESSAGES)(
    '$name: $expect',
    async ({ headers, token, method, url, expect: expectation }) => {
      const { host, pathname, search } = new URL(url);
      const lowerCase = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
      const sent = { ...Object.fromEntries(lowerCase), 'approov-token': token };
      const reason = await reasonOf(sent, { method, host, path: `${pathname}${search}` }, 'published');
      expect(reason).toBe(REASONS[expectation]);
    },
  );
});

describe('an account key', () => {
  const uses = () => service.metric('approov_key_verifications_total{key_id="account"}');

  test('is counted each time it verifies a signature, but not for one that does not verify', async () => {
    const before = (await uses()) ?? Number.NaN;
    expect(await reasonOf(signed())).toBe('ok');
    expect(await reasonOf(signed(() => randomBytes(32)))).toBe('invalid_message_signature');
    expect(await uses()).toBe(before + 1);
    const lastUsed = await service.metric('approov_key_last_used_timestamp_seconds{key_id="account"}');
    expect(lastUsed).toBeGreaterThan(Date.now() / 1000 - 600);
  });

  test('is rotated by its file, and keeps its last good state with a bad one', async () => {
    const next = randomBytes(32);
    const signNext = (base: string): Buffer => signAccount(base, next);
    expect(await reasonOf(signed(signNext))).toBe('invalid_message_signature');
    scratch.write('account', next.toString('base64url'));
    service.signal('SIGHUP');
    await vi.waitFor(async () => expect(await reasonOf(signed(signNext))).toBe('ok'), PATIENCE);
    expect(await reasonOf(signed())).toBe('invalid_message_signature');
    expect(service.logLines().filter(({ msg }) => msg === 'reloaded')).toMatchObject([
      {
        source: 'keys',
        changes: [expect.stringMatching(/^message signing key account: [0-9a-f]{12} -> [0-9a-f]{12}$/)],
      },
    ]);

    scratch.write('account', `Key ID: ${MSKID}\nkeep it secret\n${SECRET}\n`);
    service.signal('SIGHUP');
    const problem = expect.stringContaining('remove the banner that the Approov CLI printed around it');
    await vi.waitFor(
      () => expect(service.logLines()).toContainEqual(expect.objectContaining({ problem })),
      PATIENCE,
    );
    expect(await reasonOf(signed(signNext))).toBe('ok');
  });
});

describe('the log', () => {
  test('names the message signing keys at the start', () => {
    expect(service.logLines().find(({ msg }) => msg === 'serving')).toMatchObject({
      message_signing_keys: [
        { id: 'account', mskid: MSKID, fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) },
      ],
    });
  });

  test('has the label and the problem of a signature, and neither the signature nor what it covers', async () => {
    const headers = signed(() => randomBytes(32));
    const request = { path: '/' };
    await reasonOf({ ...headers, 'x-request-id': 'logged' }, request);
    const line = await vi.waitFor(() => {
      const found = service.logLines().find((each) => each['x-request-id'] === 'logged');
      expect(found).toBeDefined();
      return found;
    }, PATIENCE);
    expect(line).toMatchObject({
      reason: 'invalid_message_signature',
      signature_label: 'account',
      signature_problem: 'not_verified',
    });
    const secrets = [headers['signature'], headers['approov-token']].flatMap((text = '') =>
      text.split(/[:.]/),
    );
    const text = JSON.stringify(service.logLines());
    expect(secrets.filter((secret) => secret.length > 20 && text.includes(secret))).toEqual([]);
  });

  test('warns once about a policy that asks for no signatures of apps that can sign', async () => {
    const headers = { 'approov-token': freshToken(CLAIMS) };
    for (let check = 0; check < 3; check++) expect(await reasonOf(headers, {}, 'unasked')).toBe('ok');
    const warnings = () => service.logLines().filter(({ msg }) => String(msg).startsWith('tokens have ipk'));
    await vi.waitFor(
      () => expect(warnings()).toMatchObject([{ level: 'warn', policy: 'unasked' }]),
      PATIENCE,
    );
  });
});

test('a body that Envoy did not send is counted, and the request passes', async () => {
  const before = (await service.metric('approov_message_digest_unchecked_total')) ?? Number.NaN;
  const headers = signHeaders({
    token: freshToken({ ipk: CLAIMS.ipk }),
    created: Math.floor(Date.now() / 1000),
    method: 'POST',
    headers: {
      'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
      'content-length': '3',
    },
  });
  expect(await reasonOf(headers, { method: 'POST' })).toBe('ok');
  expect(await service.metric('approov_message_digest_unchecked_total')).toBe(before + 1);
});
