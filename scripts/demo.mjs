/** Sends valid and invalid requests through a real Envoy and the real service, and prints the outcome of each (`npm run demo`). */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { parse } from 'yaml';
import { EnvoyError, findEnvoy, relocate, startEnvoy } from './envoy.mjs';

const run = promisify(execFile);

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const ENVOY_CONFIG = fileURLToPath(new URL('../envoy.yaml', import.meta.url));
const SERVICE_CONFIG = fileURLToPath(new URL('../deploy/config/config.yaml', import.meta.url));

const LOGIN = 'Bearer alice';
/** More than the size of the token bucket in envoy.yaml. */
const BURST_SIZE = 30;
const LOG_TIMEOUT_MS = 10_000;
const MAX_TRIES = 5;

/** @typedef {readonly (readonly [name: string, value: string])[]} HeaderLines */
/** @typedef {{ method?: string, path?: string, headers?: HeaderLines }} Request */
/** @typedef {{ got: string, reason: string }} Observation the outcome of a row's request */
/**
 * @typedef {object} Row
 * @property {string} request
 * @property {string} expected
 * @property {string} reason
 * @property {() => Promise<Observation>} observe
 * @property {RegExp} [pattern] matches the expected outcome if it is not exactly `expected`
 */
/** @typedef {Awaited<ReturnType<typeof startAll>>} Demo */

/** The demo cannot run. The message is one line. */
class DemoError extends Error {
  /** @override */
  name = 'DemoError';
}

/** @param {string} [text] */
function print(text = '') {
  process.stdout.write(`${text}\n`);
}

/** Starts upstream, service and Envoy. They end when the process ends, however it ends. */
async function startAll() {
  if (!existsSync(CLI)) throw new DemoError('dist/cli.js is not there: run `npm run build` first');
  const binary = await findEnvoy();
  const folder = mkdtempSync(join(tmpdir(), 'approov-demo-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, randomBytes(64).toString('base64'), { mode: 0o600 });

  const env = { PATH: process.env['PATH'], APPROOV_BASE64_SECRET_FILE: secretFile };
  const [upstream, service] = await Promise.all([startUpstream(), startService(env)]);
  const sample = parse(readFileSync(ENVOY_CONFIG, 'utf8'));
  const addresses = {
    '0.0.0.0:10000': '127.0.0.1:0',
    '127.0.0.1:9901': '127.0.0.1:0',
    'approov-ext-authz:9001': service.grpc,
    'upstream:8080': upstream,
  };
  const envoy = await startEnvoy(relocate(sample, addresses), binary);
  return { env, service, envoy, port: envoy.port('api') };
}

/** The protected API: responds with the headers that it received. */
async function startUpstream() {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json', 'x-from': 'upstream' });
    response.end(JSON.stringify({ path: request.url, headers: request.headers }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return `127.0.0.1:${port}`;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ grpc: string, admin: string, logLines: string[] }>}
 */
async function startService(env) {
  const child = spawn(process.execPath, [CLI, 'serve', '--config', SERVICE_CONFIG], {
    env: { ...env, APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // Not SIGTERM: a demo need not drain.
  process.once('exit', () => child.kill('SIGKILL'));
  /** @type {string[]} */
  const logLines = [];
  const lines = createInterface(child.stdout);
  const serving = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      logLines.push(line);
      const { msg, grpc, admin } = JSON.parse(line);
      if (msg === 'serving') resolve({ grpc, admin, logLines });
    });
    child.once('close', (code) => reject(new DemoError(`the service ended with exit code ${code}`)));
  });
  return serving;
}

/**
 * Mints a token with the service's `mint`, so that the secret stays in its file.
 * @param {NodeJS.ProcessEnv} env
 * @param {...string} args
 * @returns {Promise<string>}
 */
async function mint(env, ...args) {
  const { stdout } = await run(process.execPath, [CLI, 'mint', '--config', SERVICE_CONFIG, ...args], { env });
  return stdout.trim();
}

/** A token with alg "none". */
function unsignedToken() {
  const claims = { exp: Math.floor(Date.now() / 1000) + 300 };
  const parts = [{ alg: 'none', typ: 'JWT' }, claims].map((part) => JSON.stringify(part));
  return `${parts.map((part) => Buffer.from(part).toString('base64url')).join('.')}.`;
}

/**
 * @param {Demo} demo
 * @returns {Promise<Row[]>}
 */
async function describeRows(demo) {
  const { env } = demo;
  const [valid, expired, foreign, bound] = await Promise.all([
    mint(env),
    mint(env, '--expires-in=-1m'),
    mint(env, '--invalid'),
    mint(env, '--bind', LOGIN),
  ]);
  /** @type {(token: string) => readonly [string, string]} */
  const token = (value) => ['approov-token', value];
  const forged = /** @type {const} */ (['x-approov-verdict', 'verified']);
  /** @type {(origin: string) => HeaderLines} */
  const preflight = (origin) => [
    ['origin', origin],
    ['access-control-request-method', 'POST'],
  ];
  /** @type {(request: string, expected: string, reason: string, sent: Request) => Row} */
  const row = (request, expected, reason, sent) => ({
    request,
    expected,
    reason,
    observe: () => observe(demo, sent),
  });

  return [
    row('valid token', '200, upstream saw verified', 'ok', { headers: [token(valid)] }),
    row('no token', '401', 'missing_approov_token', {}),
    row('empty token', '401', 'missing_approov_token', { headers: [token('')] }),
    row('expired token', '401', 'token_expired', { headers: [token(expired)] }),
    row('signed with another secret (failed attestation)', '401', 'invalid_token_signature', {
      headers: [token(foreign)],
    }),
    row('alg: none', '401', 'unsupported_token_algorithm', { headers: [token(unsignedToken())] }),
    row('two tokens', '401', 'duplicate_approov_token', { headers: [token(valid), token(valid)] }),
    row('bound token, its Authorization', '200, upstream saw verified', 'ok', {
      headers: [token(bound), ['authorization', LOGIN]],
    }),
    row('bound token, another Authorization', '401', 'binding_mismatch', {
      headers: [token(bound), ['authorization', 'Bearer mallory']],
    }),
    row(
      '/search (mode limit), forged x-approov-verdict',
      '200, upstream saw unverified',
      'missing_approov_token',
      {
        path: '/search',
        headers: [forged],
      },
    ),
    row('/public (not checked), forged x-approov-verdict', '200, upstream saw no verdict', '-', {
      path: '/public/logo.png',
      headers: [forged],
    }),
    row('preflight to /web (has a CORS policy)', '200, answered by Envoy', '-', {
      method: 'OPTIONS',
      path: '/web/orders',
      headers: preflight('https://app.example.com'),
    }),
    row('preflight to /orders (has none)', '200, upstream saw skipped', 'cors_preflight', {
      method: 'OPTIONS',
      headers: preflight('https://app.example.com'),
    }),
    {
      request: `${BURST_SIZE} requests without token to /search`,
      expected: 'some 200, the rest 429',
      pattern: /^\d+ x 200, \d+ x 429$/,
      reason: 'missing_approov_token',
      observe: () => observeBurst(demo, { path: '/search' }),
    },
    row('valid token to /search, after that', '200, upstream saw verified', 'ok', {
      path: '/search',
      headers: [token(valid)],
    }),
  ];
}

/**
 * @param {Demo} demo
 * @param {Request} request
 * @returns {Promise<Observation>}
 */
async function observe(demo, request) {
  const { status, upstreamHeaders, reason } = await send(demo, request);
  if (upstreamHeaders !== undefined) {
    const verdict = upstreamHeaders['x-approov-verdict'] ?? 'no verdict';
    return { got: `${status}, upstream saw ${verdict}`, reason };
  }
  return { got: status === 200 ? '200, answered by Envoy' : `${status}`, reason };
}

/**
 * @param {Demo} demo
 * @param {Request} request
 * @returns {Promise<Observation>}
 */
async function observeBurst(demo, request) {
  /** @type {Map<number | undefined, number>} */
  const counts = new Map();
  let reason = '';
  for (let count = 0; count < BURST_SIZE; count++) {
    const answer = await send(demo, request);
    counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    reason = answer.reason;
  }
  return { got: Array.from(counts, ([status, count]) => `${count} x ${status}`).join(', '), reason };
}

/**
 * Sends a request through Envoy and reads the service's reason from Envoy's access log.
 * @param {Demo} demo
 * @param {Request} request
 */
async function send({ envoy, port }, { method = 'GET', path = '/orders', headers = [] }) {
  const lines = /** @type {const} */ ([['host', 'api.example.com'], ...headers]).flat();
  for (let tries = 1; ; tries++) {
    const seen = envoy.accessLog().length;
    const call = httpRequest({ host: '127.0.0.1', port, method, path, headers: lines });
    call.end();
    /** @type {[import('node:http').IncomingMessage]} */
    const [response] = /** @type {any} */ (await once(call, 'response'));
    const body = await text(response);
    const line = await nextLogLine(envoy, seen);
    // On a busy machine a check may exceed the timeout in envoy.yaml, which gives 503: retry.
    if (line['details'] === 'ext_authz_error' && tries < MAX_TRIES) continue;
    /** @type {Record<string, string> | undefined} */
    const upstreamHeaders = response.headers['x-from'] === 'upstream' ? JSON.parse(body).headers : undefined;
    return { status: response.statusCode, upstreamHeaders, reason: String(line['approov_reason'] ?? '-') };
  }
}

/**
 * @param {Demo['envoy']} envoy
 * @param {number} index
 */
async function nextLogLine(envoy, index) {
  const deadline = Date.now() + LOG_TIMEOUT_MS;
  for (;;) {
    const line = envoy.accessLog()[index];
    if (line !== undefined) return line;
    if (Date.now() > deadline) throw new DemoError('Envoy writes no access log');
    await sleep(5);
  }
}

/**
 * The service's approov_ counters, and Envoy's counters for ext_authz and the rate limit.
 * @param {Demo} demo
 * @returns {Promise<Map<string, number>>}
 */
async function readMetrics({ service, envoy }) {
  const page = await (await fetch(`http://${service.admin}/metrics`)).text();
  const samples = page.split('\n').flatMap((line) => {
    const [, name, value] = /^(approov_\S*_(?:total|count)(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    return name === undefined ? [] : [/** @type {const} */ ([name, Number(value)])];
  });
  const stats = await envoy.stats('^http\\.api\\.ext_authz\\.|http_local_rate_limit');
  return new Map([...samples, ...Object.entries(stats)]);
}

/** @param {readonly (readonly string[])[]} rows the first is the header */
function printTable(rows) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const format = (/** @type {readonly string[]} */ row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  rows.forEach((row, index) => {
    print(format(row));
    if (index === 0) print(format(widths.map((width) => '-'.repeat(width))));
  });
}

/**
 * Sends every row's requests in order and prints the table.
 * @param {readonly Row[]} rows
 * @returns {Promise<number>} the number of unexpected outcomes
 */
async function runRows(rows) {
  const cells = [['', 'request', 'expected', 'got', 'reason']];
  let failures = 0;
  for (const { request, expected, pattern, reason, observe } of rows) {
    const { got, reason: gotReason } = await observe();
    const isExpected = (pattern?.test(got) ?? got === expected) && gotReason === reason;
    if (!isExpected) failures++;
    const shownReason = gotReason === reason ? reason : `${gotReason} (expected ${reason})`;
    cells.push([isExpected ? 'ok' : 'NOT', request, expected, got, shownReason]);
  }
  printTable(cells);
  return failures;
}

/**
 * @param {Demo} demo
 * @param {ReadonlyMap<string, number>} before
 */
async function printMetrics(demo, before) {
  print('\nMetrics that changed (service: /metrics, Envoy: /stats):');
  for (const [name, value] of await readMetrics(demo)) {
    const rise = value - (before.get(name) ?? 0);
    if (rise !== 0) print(`  ${`+${rise}`.padStart(4)}  ${name}`);
  }
}

/** @param {Demo} demo */
async function printCurlLines({ env, service, envoy, port }) {
  const [valid, invalid, bound] = await Promise.all([
    mint(env, '--expires-in', '1h'),
    mint(env, '--expires-in', '1h', '--invalid'),
    mint(env, '--expires-in', '1h', '--bind', LOGIN),
  ]);
  const curl = `curl -i http://127.0.0.1:${port}`;
  print(`
Still running; Ctrl-C ends it. To try (the tokens last an hour):
  ${curl}/orders
  ${curl}/orders -H 'approov-token: ${valid}'
  ${curl}/orders -H 'approov-token: ${invalid}'
  ${curl}/orders -H 'authorization: ${LOGIN}' -H 'approov-token: ${bound}'
  ${curl}/search
  curl http://${service.admin}/metrics
  curl http://${envoy.admin}/stats?filter=ext_authz
More tokens:
  APPROOV_BASE64_SECRET_FILE=${env.APPROOV_BASE64_SECRET_FILE} node ${relative('.', CLI)} mint --help
The service's log follows.`);
}

async function main() {
  const { values } = parseArgs({ options: { keep: { type: 'boolean' } } });
  const demo = await startAll();
  print(`Envoy ${demo.envoy.version} on port ${demo.port} asks the service on ${demo.service.grpc}.\n`);

  // The first check is slow: it loads code and opens a connection.
  await send(demo, {});
  const before = await readMetrics(demo);
  const failures = await runRows(await describeRows(demo));
  await printMetrics(demo, before);
  const forgedLine = demo.service.logLines.find((line) => line.includes('invalid_token_signature'));
  print(`\nThe service's log of the failed attestation:\n  ${forgedLine}`);
  print(failures === 0 ? '\nAll as expected.' : `\n${failures} not as expected.`);
  if (!values.keep) return failures === 0 ? 0 : 1;

  await printCurlLines(demo);
  let shown = demo.service.logLines.length;
  for (;;) {
    for (const line of demo.service.logLines.slice(shown)) print(line);
    shown = demo.service.logLines.length;
    await sleep(100);
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.exit(
  await main().catch((error) => {
    const isPlain = error instanceof DemoError || error instanceof EnvoyError;
    process.stderr.write(`demo: ${isPlain ? error.message : error.stack}\n`);
    return 1;
  }),
);
