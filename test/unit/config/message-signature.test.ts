/** Tests that what is wrong with the configuration of message signatures is reported with its path and the way to fix it. */
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { SECRET } from '../../support/token.ts';

function problemsOf(text: string): string[] {
  const { config, problems } = parseConfig(text, { APPROOV_BASE64_SECRET: SECRET });
  expect(config === undefined ? 'refused' : 'taken').toBe('refused');
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

const SECTION = 'policies.strict.messageSignature';
const EXTERNAL_HOST = 'must be one host, with its port if clients name one, such as api.example.com';

describe('messageSignature', () => {
  it.each([
    ['{instal: off}', `${SECTION}.instal: unknown field; did you mean install?`],
    ['true', `${SECTION}: must be a mapping, not true; for example messageSignature: {install: when-ipk}`],
    [
      '{install: off}',
      `${SECTION}.install: must not be off while account is off too: nothing would be verified; for that, write messageSignature: null`,
    ],
    ['{account: when-mskid}', `${SECTION}.account: when-mskid needs an account key in messageSigningKeys`],
    ['{account: required}', `${SECTION}.account: required needs an account key in messageSigningKeys`],
    [
      '{requiredComponents: ["@status"]}',
      `${SECTION}.requiredComponents[0]: must be a component such as @method or @target-uri, or the name of a header`,
    ],
    [
      '{requiredComponents: [Host]}',
      `${SECTION}.requiredComponents[0]: "host" must not be host, which Envoy sends apart from the headers: write @authority`,
    ],
    [
      '{requiredComponents: ["@path", "@path"]}',
      `${SECTION}.requiredComponents: must not name a component twice`,
    ],
    [
      '{requiredComponents: all}',
      `${SECTION}.requiredComponents: "all" must be default, or a list of components such as "@method"`,
    ],
    ['{maxAgeSeconds: 0}', `${SECTION}.maxAgeSeconds: 0 must be at least 1`],
    ['{maxAgeSeconds: 2e9}', `${SECTION}.maxAgeSeconds: 2000000000 must be at most 1000000000`],
    ['{clockToleranceSeconds: 301}', `${SECTION}.clockToleranceSeconds: 301 must be at most 300`],
    ['{externalHost: "*.example.com"}', `${SECTION}.externalHost: "*.example.com" ${EXTERNAL_HOST}`],
    ['{externalHost: "a.com:"}', `${SECTION}.externalHost: "a.com:" ${EXTERNAL_HOST}`],
    ['{externalHost: "https://a.com"}', `${SECTION}.externalHost: ${EXTERNAL_HOST}`],
    [
      '{replay: shared}',
      `${SECTION}.replay: shared needs a replayStore, such as replayStore: {url: "redis://redis:6379"}`,
    ],
  ])('%s is refused', (section, expected) => {
    expect(problemsOf(`policies: {strict: {messageSignature: ${section}}}`)).toEqual([expected]);
  });

  it.each(['2', 'auto'])('with replay per-instance needs one worker, not %s', (workers) => {
    const text = `workers: ${workers}\npolicies: {strict: {messageSignature: {replay: per-instance}}}`;
    expect(problemsOf(text)).toEqual([
      `${SECTION}.replay: per-instance needs workers: 1, since each worker remembers only its own requests; or write replay: shared, with a replayStore`,
    ]);
  });

  it('lacks what it needs also where the schema finds another mistake', () => {
    const text = 'extra: 1\npolicies: {strict: {messageSignature: {account: required, replay: shared}}}';
    expect(problemsOf(text).map((problem) => problem.split(':', 1)[0])).toEqual([
      'extra',
      `${SECTION}.account`,
      `${SECTION}.replay`,
    ]);
  });
});

describe('messageSigningKeys', () => {
  it.each([
    [
      '[a]',
      'messageSigningKeys[0]: must be a mapping, not "a"; for example - {id: account, mskid: j3AWy6, secretFile: /run/secrets/approov/account}',
    ],
    ['[{id: a, secretFile: /a}]', 'messageSigningKeys[0].mskid: is required'],
    ['[{id: a, mskid: m}]', 'messageSigningKeys[0].secretFile: is required'],
    [
      '[{id: a, mskid: 1, secretFile: /a}]',
      'messageSigningKeys[0].mskid: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    [
      '[{id: env, mskid: m, secretFile: /a}]',
      'messageSigningKeys[0].id: is taken by the key of the environment',
    ],
    [
      '[{id: a, mskid: m, secretFile: /a}, {id: a, mskid: n, secretFile: /b}]',
      'messageSigningKeys[1].id: is taken by messageSigningKeys[0]',
    ],
    [
      '[{id: a, mskid: m, secretFile: /a}, {id: b, mskid: m, secretFile: /b}]',
      'messageSigningKeys[1].mskid: is taken by messageSigningKeys[0]',
    ],
  ])('%s is refused', (keys, expected) => {
    expect(problemsOf(`messageSigningKeys: ${keys}`)).toEqual([expected]);
  });

  it('share no id with decryption keys', () => {
    const text =
      'decryptionKeys: [{id: a, secretFile: /a}]\nmessageSigningKeys: [{id: a, mskid: m, secretFile: /b}]';
    expect(problemsOf(text)).toEqual(['messageSigningKeys[0].id: is taken by decryptionKeys[0]']);
  });
});

const STORE_URL = 'must be a URL such as redis://redis:6379, or rediss://redis:6379 for TLS';

describe('replayStore', () => {
  it.each([
    ['{}', 'replayStore.url: is required'],
    ['{url: redis}', `replayStore.url: "redis" ${STORE_URL}`],
    ['{url: "http://redis"}', `replayStore.url: ${STORE_URL}`],
    ['{url: "redis://redis/a"}', `replayStore.url: ${STORE_URL}`],
    ['{url: "redis://redis?a=b"}', `replayStore.url: ${STORE_URL}`],
    ['{url: "redis://redis:70000"}', `replayStore.url: must be a URL such as redis://redis:6379`],
    [
      '{url: "redis://me:planted@redis"}',
      'replayStore.url: must not have a user name or password: put them into usernameFile and passwordFile',
    ],
    ['{url: "redis://a", timeoutMs: 0}', 'replayStore.timeoutMs: 0 must be at least 1'],
    ['{url: "redis://a", timeoutMs: 1.5}', 'replayStore.timeoutMs: must be a whole number, not 1.5'],
    [
      '{url: "redis://a", onError: alow}',
      'replayStore.onError: "alow" is not a value of onError; did you mean "allow"? (deny, allow)',
    ],
    ['{url: "redis://a", caFile: /ca}', 'replayStore.caFile: goes with a rediss URL only'],
    ['{url: "redis://a", usernameFile: /u}', 'replayStore.usernameFile: needs a passwordFile'],
  ])('%s is refused', (store, expected) => {
    expect(problemsOf(`replayStore: ${store}`)).toEqual([expected]);
  });

  it.each(['redis://redis', 'redis://redis:6379/15', 'rediss://[::1]:6379', 'rediss://redis.example.com/'])(
    'may be at %s',
    (url) => {
      expect(parseConfig(`replayStore: {url: "${url}"}`, { APPROOV_BASE64_SECRET: SECRET }).problems).toEqual(
        [],
      );
    },
  );
});
