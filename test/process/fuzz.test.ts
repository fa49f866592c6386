/** Sends random and mutated requests over gRPC under `enforce`: no call may fail, and only the valid token is allowed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CheckClient, createCheckClient, metadataOf } from '../support/grpc-client.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { base64url, freshToken, mintToken, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

const REQUESTS = 10_000;
const CONCURRENCY = 50;
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0x7fff_ffff);

const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
let service: RunningService;
let client: CheckClient;

beforeAll(async () => {
  // Nothing is skipped under these policies: an allowed request must have been verified.
  const policies = `policies:
  default: {allowCorsPreflight: false}
  bound: {allowCorsPreflight: false, binding: {headers: [authorization, cookie], when: required}}
  claims: {allowCorsPreflight: false, issuer: i, audience: host}
routes: [{host: "*.example.com", pathPrefix: /a, methods: [POST], policy: bound}, {pathPrefix: /b, policy: claims}]
log: {checks: all}
`;
  writeFileSync(join(folder, 'config.yaml'), policies);
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', join(folder, 'config.yaml')]);
  client = createCheckClient(service.grpc);
});

afterAll(async () => {
  client.close();
  await service.kill();
  rmSync(folder, { recursive: true });
});

const VALID = freshToken({ did: 'd' });
const FORGED = freshToken({ did: 'd' }, { secret: OTHER_SECRET_BYTES });
const EXPIRED = mintToken({ exp: 1_000_000_000 });
const NONE = `${base64url('{"alg":"none"}')}.${VALID.split('.')[1]}.`;

const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', '/', '//', '..', '?', '#', '%2e'),
);
const tokenText = fc.oneof(
  fc.constantFrom(
    VALID,
    FORGED,
    EXPIRED,
    NONE,
    `${VALID},${VALID}`,
    `Bearer ${VALID}`,
    `${VALID}.`,
    'rejected',
    '',
  ),
  fc
    .tuple(fc.nat(VALID.length - 1), fc.constantFrom('A', '.', '=', ',', '\u0000', 'é'))
    .map(([at, by]) => VALID.slice(0, at) + by + VALID.slice(at + 1)),
  fc.nat(VALID.length).map((length) => VALID.slice(0, length)),
  fc
    .array(fc.constantFrom(...VALID.split('.'), ...FORGED.split('.'), '', '{}'), { maxLength: 6 })
    .map((parts) => parts.join('.')),
  word,
);
const headerName = fc.oneof(
  fc.constantFrom(
    'approov-token',
    'Approov-Token',
    'authorization',
    'cookie',
    'approov-status',
    'origin',
    'user-agent',
  ),
  fc.constantFrom('access-control-request-method', 'x-request-id', 'x-approov-verdict', ':path', ''),
  word,
);
const header = fc.tuple(headerName, fc.oneof(tokenText, word));
const tokenHeader = fc.tuple(fc.constant('approov-token'), fc.oneof(fc.constant(VALID), tokenText));
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** Requests with each field absent, usual or unusual. */
const request = fc.record({
  method: maybe(fc.oneof(fc.constantFrom('GET', 'OPTIONS', 'POST', 'CONNECT'), word)),
  path: maybe(fc.oneof(fc.constantFrom('/', '/a/b', '/b', '/a/../b', '/a%2fb', '*'), word)),
  host: maybe(fc.oneof(fc.constantFrom('x.example.com', 'h:80', '[::1]:80'), word)),
  headers: fc
    .array(fc.oneof(tokenHeader, header), { maxLength: 3 })
    .map((pairs) => Object.fromEntries(pairs)),
  lines: fc.oneof(fc.constant(undefined), fc.array(fc.oneof(tokenHeader, header), { maxLength: 3 })),
  source: maybe(
    fc.oneof(
      word.map((address) => ({ socket_address: { address } })),
      word.map((path) => ({ pipe: { path } })),
    ),
  ),
  extensions: maybe(
    fc.dictionary(
      fc.constantFrom('approov_policy', 'other'),
      fc.oneof(fc.constantFrom('default', 'bound', 'claims', ''), word),
    ),
  ),
});

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => new URL(`../../proto/${target}`, import.meta.url).pathname;
root.loadSync('envoy/service/auth/v3/external_auth.proto', { keepCase: true });
const CheckRequest = root.lookupType('envoy.service.auth.v3.CheckRequest');

const message = request.map(({ lines, source, extensions, ...http }) => {
  const header_map = lines && {
    headers: lines.map(([key, value]) => ({ key, raw_value: Buffer.from(value, 'latin1') })),
  };
  const attributes = {
    ...(source && { source: { address: source } }),
    ...(extensions && { context_extensions: extensions }),
    request: { http: { ...http, ...(header_map && { header_map }) } },
  };
  return Buffer.from(CheckRequest.encode(CheckRequest.fromObject({ attributes })).finish());
});

const mutation = fc.record({
  at: fc.nat(),
  byte: fc.nat(255),
  kind: fc.constantFrom('change', 'cut', 'insert', 'double'),
});

const mutated = fc
  .tuple(message, fc.array(mutation, { minLength: 1, maxLength: 4 }))
  .map(([original, mutations]) =>
    mutations.reduce<Buffer>((bytes, { at, byte, kind }) => {
      const position = bytes.length === 0 ? 0 : at % bytes.length;
      const [head, tail] = [bytes.subarray(0, position), bytes.subarray(position)];
      if (kind === 'cut') return head;
      if (kind === 'insert') return Buffer.concat([head, Buffer.from([byte]), tail]);
      if (kind === 'double') return Buffer.concat([bytes, tail]);
      return Buffer.concat([head, Buffer.from([byte]), tail.subarray(1)]);
    }, original),
  );

const bytes = fc.uint8Array({ maxLength: 300 }).map((some) => Buffer.from(some));

test(`${REQUESTS} random and mutated requests: no call fails, and only the valid token is allowed (FUZZ_SEED=${SEED})`, async () => {
  const arbitrary = fc.oneof(
    { weight: 4, arbitrary: message },
    { weight: 4, arbitrary: mutated },
    { weight: 1, arbitrary: bytes },
  );
  const messages = fc.sample(arbitrary, { numRuns: REQUESTS, seed: SEED });
  const seen = new Map<string, number>();
  const next = messages.entries();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const [index, sent] of next) {
        const answer = await client.checkBytes(sent).catch((error: unknown) => {
          throw new Error(`message ${index} (${sent.toString('hex')}): ${error}`);
        });
        const { approov_reason: reason, approov_verdict: verdict } = metadataOf(answer);
        const code = answer.status?.code;
        // A verified request must contain the whole of the one valid token.
        const expected =
          verdict === 'verified' && sent.includes(VALID) ? 0 : reason === 'internal_error' ? 14 : 16;
        if (code !== expected)
          expect.fail(`message ${index} (${sent.toString('hex')}): code ${code}, ${reason}`);
        seen.set(String(reason), (seen.get(String(reason)) ?? 0) + 1);
      }
    }),
  );
  expect([...seen.values()].reduce((sum, count) => sum + count)).toBe(REQUESTS);
  // If every response were the same, the test would prove little.
  const often = [
    'ok',
    'missing_approov_token',
    'duplicate_approov_token',
    'invalid_token_format',
    'internal_error',
  ];
  for (const reason of [
    ...often,
    'invalid_token_signature',
    'token_expired',
    'unknown_policy',
    'missing_pay_claim',
  ]) {
    expect([reason, seen.has(reason)]).toEqual([reason, true]);
  }
  expect(service.output()).not.toContain('"msg":"internal error"');
}, 120_000);
