/** Searches every output for planted secrets, tokens, bound headers and query strings. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  type CheckClient,
  createCheckClient,
  metadataOf,
  type RequestJson,
  type ResponseJson,
  requestWith,
} from '../support/grpc-client.ts';
import { runInProcess } from '../support/in-process.ts';
import { ACCOUNT_SECRET, CLAIMS, MSKID } from '../support/message-signature.ts';
import { PATIENCE } from '../support/patience.ts';
import { type Finished, type RunningService, runCli, startPretty, startServe } from '../support/process.ts';
import { CHECK_PATH, EMPTY_MESSAGE } from '../support/raw-http2.ts';
import { signHeaders } from '../support/signed-check.ts';
import { base64url, freshToken, mintToken } from '../support/token.ts';
import { TRANSPORT } from '../support/transport.ts';

const SECRET_BYTES = randomBytes(64);
const OTHER_BYTES = randomBytes(64);
const BEARER = `Bearer ${randomBytes(24).toString('hex')}`;
const SESSION = randomBytes(24).toString('hex');
const QUERY = randomBytes(24).toString('hex');
const COOKIE = randomBytes(24).toString('hex');
const SHORT = randomBytes(31);
/** Of a header that a signature covers, and no policy reads by itself. */
const DEVICE = randomBytes(24).toString('hex');

const pay = createHash('sha256').update(BEARER).update(SESSION).digest('base64');
const TOKENS = {
  valid: freshToken({ did: 'D' }, { secret: SECRET_BYTES }),
  bound: freshToken({ did: 'D', pay }, { secret: SECRET_BYTES }),
  wronglyBound: freshToken({ did: 'D', pay: randomBytes(32).toString('base64') }, { secret: SECRET_BYTES }),
  forged: freshToken({ did: 'D', arc: 'ARC' }, { secret: OTHER_BYTES }),
  expired: mintToken({ exp: 1_000_000_000, jti: randomBytes(9).toString('hex') }, { secret: SECRET_BYTES }),
  malformed: `${base64url('{"alg":"HS256","kid":{"a":[]}}')}.${base64url(randomBytes(40).toString('hex'))}.${randomBytes(32).toString('base64url')}`,
  broken: `${base64url('{"alg":"HS256"}')}.${randomBytes(30).toString('base64url')}.!`,
  signed: freshToken(CLAIMS, { secret: SECRET_BYTES }),
};

const SIGNED_PATH = `/signed?q=${QUERY}`;
const signature = {
  token: TOKENS.signed,
  path: SIGNED_PATH,
  headers: { authorization: BEARER, 'x-device': DEVICE },
  labels: ['install', 'account'],
  created: Math.floor(Date.now() / 1000),
} as const;
/** By reason. */
const SIGNED_HEADERS = {
  ok: signHeaders(signature),
  invalid_message_signature: signHeaders({ ...signature, path: '/other' }),
  message_signature_expired: signHeaders({ ...signature, created: 1_000_000_000 }),
};
const SIGNATURES = Object.values(SIGNED_HEADERS).flatMap((headers) =>
  Array.from((headers['signature'] ?? '').matchAll(/:(.*?):/g), ([, text = '']) =>
    Buffer.from(text, 'base64'),
  ),
);

/** Any 16 consecutive characters of these are a leak. The header of a token is not a secret; the rest is. */
const PLANTED: Readonly<Record<string, readonly string[]>> = {
  secret: [SECRET_BYTES, OTHER_BYTES, SHORT, ACCOUNT_SECRET].flatMap(textsOf),
  signature: SIGNATURES.flatMap(textsOf),
  'signed header': [DEVICE],
  token: Object.values(TOKENS).map((token) => token.slice(token.indexOf('.') + 1)),
  'bound header': [BEARER, SESSION],
  query: [QUERY],
  cookie: [COOKIE],
};

function textsOf(bytes: Buffer): string[] {
  return (['base64', 'base64url', 'hex'] as const).map((form) => bytes.toString(form));
}

const PIECES = Object.entries(PLANTED).flatMap(([what, texts]) => {
  const pieces = texts.flatMap((text) =>
    Array.from({ length: Math.max(1, text.length - 15) }, (_, at) => text.slice(at, at + 16)),
  );
  return [...new Set(pieces)].map((piece) => ({ what, piece }));
});

function leaksIn(output: string, except: readonly string[] = []): string[] {
  return PIECES.filter(({ what, piece }) => !except.includes(what) && output.includes(piece)).map(
    ({ what, piece }) => `${what}: ${piece}`,
  );
}

const folder = mkdtempSync(join(tmpdir(), 'secrecy-'));
afterAll(() => rmSync(folder, { recursive: true }));
function fileWith(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}
const SECRET = SECRET_BYTES.toString('base64');
const CONFIG = fileWith(
  'config.yaml',
  `keys: [{id: current, secretFile: ${fileWith('current', SECRET)}}, {id: next, kid: k, secretFile: ${fileWith('next', randomBytes(32).toString('base64url'))}}]
messageSigningKeys: [{id: account, mskid: ${MSKID}, secretFile: ${fileWith('account', ACCOUNT_SECRET.toString('base64'))}}]
policies:
  default: {binding: {headers: [authorization, x-session]}}
  observe: {mode: observe, forwardClaims: [did, arc]}
  agent: {tokenHeader: x-request-id, binding: {headers: [user-agent], when: required}}
  signed: {messageSignature: {account: when-mskid, replay: per-instance}}
routes: [{pathPrefix: /signed, policy: signed}, {pathPrefix: /observe, policy: observe}]
denied: {exposeReason: true}
log: {level: trace, checks: all}
`,
);

/** Makes Node and grpc-js trace to stderr. */
const TRACED = {
  GRPC_TRACE: 'all',
  GRPC_VERBOSITY: 'DEBUG',
  NODE_DEBUG: 'http,http2,net,stream,tls',
  NODE_DEBUG_NATIVE: 'http2session,http2stream',
};

/** Metadata of the gRPC call: Envoy copies `tracestate` from the client's request. One value is not ASCII. */
const METADATA = {
  authorization: `${BEARER}\u0080`,
  cookie: COOKIE,
  tracestate: `a=${SESSION}`,
  'x-query': QUERY,
  'x-secret-bin': Buffer.from(SECRET_BYTES).toString('base64'),
};

test('leaksIn finds planted text of 16 characters or more', () => {
  // Delimited by `!`: a base64 character could happen to be the secret's next one.
  expect(leaksIn(`!${SECRET.slice(3, 19)}!`)).toEqual([`secret: ${SECRET.slice(3, 19)}`]);
  expect(leaksIn(`!${SECRET.slice(3, 18)}!`)).toEqual([]);
  for (const token of Object.values(TOKENS)) expect(leaksIn(token).length).toBeGreaterThan(0);
  expect(leaksIn(`/?a=${QUERY}`)).toHaveLength(33);
});

/** Checks every kind of request that contains planted text. */
async function checkAll(client: CheckClient): Promise<ResponseJson[]> {
  const answers: ResponseJson[] = [];
  const texts = [...Object.values(TOKENS), `${TOKENS.valid},${TOKENS.bound}`, `Bearer ${TOKENS.valid}`, ''];
  const shared = {
    authorization: BEARER,
    'x-session': SESSION,
    cookie: COOKIE,
    'approov-status': TOKENS.valid,
    origin: BEARER,
  };
  for (const text of texts) {
    const headers = { ...shared, 'approov-token': text };
    const raw = Object.entries(headers).map(([key, value]) => ({ key, raw_value: Buffer.from(value) }));
    const http = { method: 'GET', host: 'api.example.com' };
    const requests: RequestJson[] = [
      requestWith(headers, { path: `/a?q=${QUERY}` }),
      requestWith(headers, { path: `/observe#q=${QUERY}?${QUERY}` }),
      requestWith(
        {},
        { ...http, path: `/a/../b?q=${QUERY}`, header_map: { headers: [...raw, ...raw.slice(0, 1)] } },
      ),
      requestWith({}, { ...http, path: `?${QUERY}`, header_map: { headers: raw } }),
      {
        attributes: {
          context_extensions: { approov_policy: TOKENS.valid },
          request: { http: { headers } },
        },
      },
      {
        attributes: {
          context_extensions: { approov_policy: 'agent' },
          request: { http: { headers: { 'x-request-id': text, 'user-agent': BEARER } } },
        },
      },
    ];
    for (const request of requests) answers.push(await client.check(request));
  }
  const signed = Object.values(SIGNED_HEADERS);
  // The first is a replay when it is sent again.
  for (const headers of [...signed, signed[0] ?? {}, { 'approov-token': TOKENS.signed }])
    answers.push(await client.check(requestWith(headers, { path: SIGNED_PATH })));
  for (const text of texts) {
    const broken = Buffer.concat([Buffer.from(text), Buffer.from([0xff])]);
    answers.push(await client.checkBytes(broken));
  }
  return answers;
}

describe('a running service', () => {
  let service: RunningService;
  let client: CheckClient;
  const answers: ResponseJson[] = [];

  beforeAll(async () => {
    service = await startServe(TRACED, ['--config', CONFIG]);
    client = createCheckClient(service.grpc);
    answers.push(...(await checkAll(client)));
    await callWith(METADATA);
  });

  /** Calls Check with metadata that grpc-js's client would not send. */
  async function callWith(metadata: Readonly<Record<string, string>>): Promise<void> {
    const session = connect(`http://${service.grpc}`);
    const call = session.request({
      ':method': 'POST',
      ':path': CHECK_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    });
    const [headers] = await once(call.resume().end(EMPTY_MESSAGE), 'response');
    expect(headers).toMatchObject({ ':status': 200 });
    session.destroy();
  }

  afterAll(async () => {
    client.close();
    await service.kill();
  });

  test('gave every kind of answer in these tests', () => {
    const reasons = new Set(answers.map((answer) => metadataOf(answer)['approov_reason']));
    const expected = [
      'ok',
      'binding_mismatch',
      'invalid_token_signature',
      'token_expired',
      'invalid_token_format',
    ];
    const others = [
      'duplicate_approov_token',
      'missing_approov_token',
      'unknown_policy',
      'missing_pay_claim',
      'internal_error',
    ];
    const signed = [...Object.keys(SIGNED_HEADERS), 'message_replayed', 'missing_message_signature'];
    expect([...reasons]).toEqual(expect.arrayContaining([...expected, ...others, ...signed]));
  });

  test('leaks nothing in its responses', () => {
    expect(leaksIn(JSON.stringify(answers))).toEqual([]);
    // Nor may the bytes of a message that does not decode come back in any form.
    expect(JSON.stringify(answers)).not.toContain('"type":"Buffer"');
  });

  test('leaks nothing in its log, on stdout or on stderr', async () => {
    await vi.waitFor(
      () => expect(service.logLines().filter(({ reason }) => reason === 'internal_error')).not.toEqual([]),
      PATIENCE,
    );
    expect(service.logLines().length).toBeGreaterThan(40);
    expect(leaksIn(service.output())).toEqual([]);
  });

  // The hook that chooses another transport runs in a thread of its own, which traces as well.
  test.runIf(TRANSPORT === 'grpc-js')(
    'writes only its own lines to stderr, whatever Node and grpc-js trace',
    () => {
      // Traces of Node's C++ code bypass JavaScript; they name sessions and streams only.
      const lines = service
        .errors()
        .split('\n')
        .filter((line) => line !== '' && !/^Http(2|Stream)/.test(line));
      expect(lines).toEqual([
        expect.stringMatching(/^approov-ext-authz: Warning: Setting the NODE_DEBUG environment variable/),
      ]);
    },
  );

  test.each(['/metrics', '/config', '/readyz', '/livez', '/rollout', '/rollout.json', '/none'])(
    'leaks nothing on the admin page %s',
    async (page) => {
      const response = await fetch(`http://${service.admin}${page}?${QUERY}`);
      expect(leaksIn(`${[...response.headers]} ${await response.text()}`)).toEqual([]);
    },
  );

  test('leaks nothing in the error of a failed call', async () => {
    const { code, details } = (await client
      .checkBytes(Buffer.alloc(5_000_000, SECRET))
      .catch((error: { code: number; details: string }) => error)) as { code: number; details: string };
    expect(code).toBe(8);
    expect(leaksIn(details)).toEqual([]);
  });

  test('leaks nothing when it drains', async () => {
    const quick = fileWith('quick.yaml', 'drain: {delaySeconds: 0}');
    const other = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', quick]);
    onTestFinished(() => other.kill());
    other.signal('SIGINT');
    await other.ended;
    expect(leaksIn(other.output())).toEqual([]);
  });
});

test('a log for people leaks nothing', async () => {
  const pretty = `${readFileSync(CONFIG, 'utf8').replace('checks: all', 'checks: all, format: pretty')}`;
  const running = await startPretty(['--config', fileWith('pretty.yaml', pretty)], { env: TRACED });
  onTestFinished(() => running.kill());
  const client = createCheckClient(running.grpc);
  await checkAll(client);
  client.close();
  await vi.waitFor(() => expect(running.output()).toContain('internal_error'), PATIENCE);
  await running.kill();
  expect(running.output().match(/check (failed|passed)/g)?.length).toBeGreaterThan(40);
  expect(leaksIn(running.output())).toEqual([]);
});

describe('a command leaks nothing', () => {
  const env = { APPROOV_CONFIG: CONFIG };
  const bare = { APPROOV_BASE64_SECRET: SECRET };

  function outputOf({ stdout, stderr }: Finished): string {
    expect(stdout + stderr).not.toBe('');
    return stdout + stderr;
  }

  const headers = [
    '--header',
    `authorization: ${BEARER}`,
    '--header',
    `x-session: ${SESSION}`,
    '--header',
    `cookie: ${COOKIE}`,
  ];
  const request = ['--path', `/a?${QUERY}`, ...headers];

  test.each<[name: string, args: string[], environment: Readonly<Record<string, string>>]>([
    ['check-config with a file', ['check-config'], env],
    ['check-config with a secret in the environment', ['check-config'], bare],
    ...Object.entries(TOKENS).map(([name, token]): [string, string[], typeof env] => [
      `explain of the ${name} token`,
      ['explain', '--token', token, ...request],
      env,
    ]),
    ['explain as JSON', ['explain', '--json', '--token', TOKENS.bound, ...request], env],
    [
      'explain of two tokens',
      ['explain', '--token', TOKENS.valid, '--header', `approov-token: ${TOKENS.bound}`],
      env,
    ],
    ['explain of an unknown policy', ['explain', '--policy', TOKENS.valid], env],
    ['explain with a token in place of a time', ['explain', '--at', TOKENS.valid], env],
    ['explain with a header without a colon', ['explain', '--header', COOKIE], env],
    ['explain with a token as a positional argument', ['explain', TOKENS.valid], env],
    ['explain with a token in a misspelled option', ['explain', `--tokn=${TOKENS.valid}`], env],
    ['mint with a claim without a value', ['mint', '--claim', COOKIE], env],
    ['mint bound to an unquoted value', ['mint', '--bind', 'Bearer', BEARER.slice(7)], env],
    ['mint with an unknown key', ['mint', '--key-id', SECRET], env],
    ['mint with a token in place of a URL', ['mint', '--sign-request', 'GET', TOKENS.valid], env],
    ['mint with an invalid duration', ['mint', '--expires-in', SECRET], env],
    ['a token in place of a command', [TOKENS.valid], env],
    ['healthcheck', ['healthcheck'], { ...env, APPROOV_GRPC_LISTEN: '127.0.0.1:1' }],
  ])('in the output of %s', async (_name, args, environment) => {
    expect(leaksIn(outputOf(await runInProcess(args, environment)))).toEqual([]);
  });

  test('in the output of mint, except the token itself', async () => {
    for (const more of [[], ['--invalid']]) {
      const finished = await runCli(['mint', '--bind', BEARER, '--bind', SESSION, ...more], env);
      const decoded = finished.stdout
        .split('.')
        .map((part) => Buffer.from(part, 'base64url').toString('latin1'));
      expect(leaksIn(outputOf(finished) + decoded.join(' '), ['token'])).toEqual([]);
    }
  });

  test.each(Object.entries(SIGNED_HEADERS))(
    'in the output of explain of a signed request that is %s, except what the app has to compare',
    async (reason, headers) => {
      const lines = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
      const args = ['explain', '--host', 'api.example.com', '--path', SIGNED_PATH, ...lines];
      for (const more of [[], ['--json']]) {
        const output = outputOf(await runInProcess([...args, ...more], env));
        expect(output).toContain(reason);
        expect(output).toContain(DEVICE);
        expect(leaksIn(output, ['query', 'signed header'])).toEqual([]);
      }
    },
  );

  test('in the output of explain with a token from stdin', async () => {
    expect(
      leaksIn(outputOf(await runCli(['explain', '--token', '-', ...request], env, TOKENS.forged))),
    ).toEqual([]);
  });
});

describe('an error message does not repeat a secret that is', () => {
  const yaml = (content: string): Readonly<Record<string, string>> => ({
    APPROOV_CONFIG: fileWith(`${randomBytes(4).toString('hex')}.yaml`, content),
  });

  test.each<[name: string, environment: Readonly<Record<string, string>>]>([
    ['invalid by one character', { APPROOV_BASE64_SECRET: `${SECRET}!` }],
    ['invalid by inner white space', { APPROOV_BASE64_SECRET: `note: ${SECRET}` }],
    ['in two alphabets', { APPROOV_BASE64_SECRET: `-/${SECRET}` }],
    ['too short', { APPROOV_BASE64_SECRET: SHORT.toString('base64') }],
    ['too short, in a file', { APPROOV_BASE64_SECRET_FILE: fileWith('short', SHORT.toString('base64')) }],
    ['not base64, in a file', { APPROOV_BASE64_SECRET_FILE: fileWith('bad', `${SECRET}\n${SECRET}`) }],
    ['set together with a file', { APPROOV_BASE64_SECRET: SECRET, APPROOV_BASE64_SECRET_FILE: '/x' }],
    ['in place of its file name', { APPROOV_BASE64_SECRET_FILE: SECRET }],
    ['in place of its file name, in the configuration', yaml(`keys: [{id: a, secretFile: "${SECRET}"}]`)],
    ['in place of its file name, and long', { APPROOV_BASE64_SECRET_FILE: SECRET.repeat(60) }],
    ['the content of the configuration file', { APPROOV_CONFIG: fileWith('current.yaml', SECRET) }],
    ['in place of the configuration file name', { APPROOV_CONFIG: SECRET }],
    ['in place of a mode', { APPROOV_BASE64_SECRET: SECRET, APPROOV_MODE: SECRET }],
    ['in place of a header', { APPROOV_BASE64_SECRET: SECRET, APPROOV_BINDING_HEADER: SECRET }],
    [
      'in place of an address',
      { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: SECRET, APPROOV_ADMIN_LISTEN: SECRET },
    ],
    ['in place of a level', { APPROOV_BASE64_SECRET: SECRET, LOG_LEVEL: SECRET }],
    ['under an unknown field of the configuration', yaml(`keys: [{id: a, secret: "${SECRET}"}]`)],
    ['in place of the keys of the configuration', yaml(`keys: "${SECRET}"`)],
    [
      'in place of a key’s id, kid and algorithm',
      yaml(`keys: [{id: "${SECRET}", kid: ["${SECRET}"], algorithms: ["${SECRET}"]}]`),
    ],
    [
      'in place of a policy and a host',
      yaml(`defaultPolicy: "${SECRET}"\nroutes: [{policy: "${SECRET}", host: "${SECRET}"}]`),
    ],
    ...(['toLowerCase', 'toUpperCase'] as const).flatMap((letters): [string, Record<string, string>][] => {
      const hex = SECRET_BYTES.subarray(0, 32).toString('hex')[letters]();
      const base = { APPROOV_BASE64_SECRET: SECRET };
      return [
        [`hex (${letters}) in place of its file name`, { APPROOV_BASE64_SECRET_FILE: hex }],
        [
          `hex (${letters}) in place of its file name in a folder`,
          { APPROOV_BASE64_SECRET_FILE: `/x/${hex}` },
        ],
        [`hex (${letters}) in place of a listen host`, { ...base, APPROOV_GRPC_LISTEN: `${hex}:9001` }],
        [`hex (${letters}) in place of a socket path`, { ...base, APPROOV_GRPC_LISTEN: `unix:/x/${hex}` }],
        [
          `hex (${letters}) in place of hosts`,
          {
            ...base,
            ...yaml(`routes: [{policy: default, host: "${hex}"}, {policy: default, host: "a.${hex}"}]`),
          },
        ],
      ];
    }),
    ['in invalid YAML', yaml(`keys: [{id: a, secret: "${SECRET}`)],
    ['in an undefined YAML alias', yaml(`keys: [{id: a, secret: *${SECRET.replaceAll(/\W/g, 'x')}}]`)],
  ])('%s', async (_name, environment) => {
    // It may be a valid address, and only a process of its own may start to serve.
    const run = 'APPROOV_GRPC_LISTEN' in environment ? runCli : runInProcess;
    const finished = await run(['APPROOV_CONFIG' in environment ? 'check-config' : 'serve'], {
      APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
      ...environment,
    });
    expect(finished.code).toBe(finished.stderr.includes('cannot listen') ? 1 : 2);
    expect(finished.stderr).not.toBe('');
    expect(leaksIn(finished.stdout + finished.stderr)).toEqual([]);
  });
});
