/**
 * Measures the CPU time per Check of the service, with and without message signatures, against a grpc-js server that returns
 * a fixed buffer, under the same load in turn. Needs h2load (nghttp2) and Linux's /proc.
 */
import { execFile, spawn } from 'node:child_process';
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadSync } from '@grpc/proto-loader';
import { cpuSeconds } from './cpu-seconds.mjs';

const ROUNDS = 9;
const CHECKS_PER_ROUND = 30_000;
const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'approov-bench-'));
const secret = randomBytes(64);
const accountSecret = randomBytes(32);
const appKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const created = Math.floor(Date.now() / 1000);

const SIGNERS = {
  install: (/** @type {Buffer} */ base) =>
    sign('sha256', base, { key: appKey.privateKey, dsaEncoding: 'ieee-p1363' }),
  account: (/** @type {Buffer} */ base) => createHmac('sha256', accountSecret).update(base).digest(),
};

/** @param {Record<string, unknown>} claims */
function mint(claims) {
  const signingInput = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signingInput}.${createHmac('sha256', secret).update(signingInput).digest('base64url')}`;
}

/**
 * Signs as the SDKs do by default.
 * @param {Readonly<Record<string, string>>} headers
 * @param {keyof typeof SIGNERS} label
 */
function signatureOf(headers, label) {
  const components = ['approov-token', 'authorization', 'content-type'];
  const lines = [
    '"@method": GET',
    '"@target-uri": https://api.example.com/v1/shapes?size=large',
    ...components.map((name) => `"${name}": ${headers[name]}`),
  ];
  const covered = lines.map((line) => line.slice(0, line.indexOf(':'))).join(' ');
  const input = `(${covered});created=${created}`;
  const base = Buffer.from([...lines, `"@signature-params": ${input}`].join('\n'));
  return {
    'signature-input': `${label}=${input}`,
    signature: `${label}=:${SIGNERS[label](base).toString('base64')}:`,
  };
}

/**
 * A request with 20 headers, one of them the token, as Envoy sends it with `encode_raw_headers`, and the headers of a
 * signature.
 * @param {keyof typeof SIGNERS} [label]
 */
function checkRequest(label) {
  const claims = {
    exp: created + 3600,
    did: 'ExampleApproovTokenDID==',
    ip: '1.2.3.4',
    arc: 'IXPSB7TRK26LXE3M',
  };
  const ipk = appKey.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const token = mint({ ...claims, ...(label === undefined ? {} : { ipk, mskid: 'j3AWy6' }) });
  const unsigned = {
    ':authority': 'api.example.com',
    ':method': 'GET',
    ':path': '/v1/shapes?size=large',
    ':scheme': 'https',
    accept: 'application/json',
    'accept-encoding': 'gzip, deflate, br',
    'accept-language': 'en-GB,en;q=0.9',
    'approov-token': token,
    authorization: `Bearer ${randomBytes(120).toString('base64url')}`,
    'cache-control': 'no-cache',
    'content-type': 'application/json',
    cookie: `session=${randomBytes(60).toString('base64url')}`,
    'user-agent': 'Shapes/4.2 (Android 16; Pixel 9) okhttp/5.1.0',
    'x-api-key': randomBytes(16).toString('hex'),
    'x-app-version': '4.2.0',
    'x-b3-sampled': '1',
    'x-envoy-external-address': '203.0.113.7',
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-request-id': '0f9f6f0e-7c1c-4a43-9d3b-a2a86bf46f1b',
  };
  const signature = label === undefined ? {} : signatureOf(unsigned, label);
  const headers = Object.entries({ ...unsigned, ...signature });
  const service = loadSync('envoy/service/auth/v3/external_auth.proto', {
    includeDirs: [join(root, 'proto')],
    keepCase: true,
  })['envoy.service.auth.v3.Authorization'];
  const serialize = /** @type {any} */ (service)['Check'].requestSerialize;
  return serialize({
    attributes: {
      source: { address: { socket_address: { address: '203.0.113.7' } } },
      request: {
        http: {
          method: 'GET',
          path: '/v1/shapes?size=large',
          host: 'api.example.com',
          header_map: { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) },
        },
      },
    },
  });
}

/**
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @returns {Promise<{ pid: number, port: number, stop: () => Promise<unknown> }>}
 */
async function startServer(args, env) {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise((resolve) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const found = text.split('\n').find((candidate) => candidate.includes('"msg":"serving"'));
      if (found !== undefined) resolve(found);
    });
  });
  return {
    pid: Number(child.pid),
    port: Number(JSON.parse(line).grpc.split(':').at(-1)),
    stop: () => {
      child.kill('SIGKILL');
      return once(child, 'exit');
    },
  };
}

/**
 * @param {{ pid: number, port: number }} server
 * @param {string} message the name of a file
 * @returns {Promise<number>} CPU microseconds per check
 */
async function measure({ pid, port }, message) {
  const before = cpuSeconds(pid);
  const { stdout } = await promisify(execFile)('h2load', [
    ...['-n', String(CHECKS_PER_ROUND), '-c', '2', '-m', '20', '-t', '1', '-d', join(folder, message)],
    ...['-H', 'content-type: application/grpc', '-H', 'te: trailers'],
    `http://127.0.0.1:${port}${CHECK_PATH}`,
  ]);
  if (!stdout.includes(`${CHECKS_PER_ROUND} succeeded`)) throw new Error(`h2load: ${stdout}`);
  return ((cpuSeconds(pid) - before) / CHECKS_PER_ROUND) * 1e6;
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

for (const label of /** @type {const} */ ([undefined, 'install', 'account'])) {
  const message = checkRequest(label);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  writeFileSync(join(folder, label ?? 'plain'), Buffer.concat([head, message]));
}

const listen = { APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' };
writeFileSync(join(folder, 'no-cache.yaml'), 'tokenCache: {maxEntries: 0}\n');
writeFileSync(join(folder, 'account-key'), accountSecret.toString('base64'));
const keys = `messageSigningKeys: [{id: account, mskid: j3AWy6, secretFile: "${join(folder, 'account-key')}"}]`;
/** @param {string} section */
const signedConfig = (section) =>
  `${keys}\npolicies: {default: {messageSignature: {maxAgeSeconds: 86400, ${section}}}}\n`;
writeFileSync(join(folder, 'install.yaml'), signedConfig('install: required'));
writeFileSync(join(folder, 'account.yaml'), signedConfig('install: off, account: required'));
const base = { ...listen, APPROOV_BASE64_SECRET: secret.toString('base64') };
const cli = join(root, 'dist/cli.js');
/** @param {string} name */
const configured = (name) => startServer([cli, '--config', join(folder, `${name}.yaml`)], base);
const contenders = {
  'fixed buffer': { message: 'plain', server: await startServer([join(root, 'scripts/bench-peer.mjs')], {}) },
  service: { message: 'plain', server: await startServer([cli], base) },
  'service, no token cache': { message: 'plain', server: await configured('no-cache') },
  'service, ES256 signature': { message: 'install', server: await configured('install') },
  'service, HMAC signature': { message: 'account', server: await configured('account') },
};
try {
  /** @type {Record<string, number[]>} */
  const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, { server, message }] of Object.entries(contenders)) {
      const microseconds = await measure(server, message);
      // The first round warms up: V8 keeps optimizing for about 20,000 checks.
      if (round > 0) results[name]?.push(microseconds);
    }
  }
  const peer = results['fixed buffer'] ?? [];
  for (const [name, values] of Object.entries(results)) {
    const ratio = median(values) / median(peer);
    process.stdout.write(
      `${name.padEnd(26)} ${median(values).toFixed(0).padStart(4)} µs CPU per check   ${ratio.toFixed(2)}× the fixed buffer\n`,
    );
  }
} finally {
  for (const { server } of Object.values(contenders)) await server.stop();
  rmSync(folder, { recursive: true });
}
