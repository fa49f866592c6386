/** Sends the demo's requests through Envoy and reads what came of each, from the answer and from Envoy's access log. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { urlOf } from './screen.mjs';
import { DemoError } from './stack.mjs';

const LOG_TIMEOUT_MS = 10_000;
const RELOAD_TIMEOUT_MS = 30_000;
const MAX_TRIES = 5;
const RETRY_MS = 200;

/** @typedef {import('./stack.mjs').Stack} Stack */
/** @typedef {import('./story.mjs').DemoRequest} DemoRequest */
/** @typedef {import('./screen.mjs').Outcome} Outcome */

/**
 * Sends a request, or as many as the range in its path says.
 * @param {Stack} stack
 * @param {DemoRequest} request
 * @returns {Promise<Outcome>}
 */
export async function outcomeOf(stack, request) {
  const { path = '' } = request;
  const [range, first, last] = /\[(\d+)-(\d+)\]/.exec(path) ?? [];
  if (range === undefined) return send(stack, request);
  /** @type {Outcome[]} */
  const outcomes = [];
  for (let index = Number(first); index <= Number(last); index++) {
    outcomes.push(await send(stack, { ...request, path: path.replace(range, `${index}`) }));
  }
  return { answer: countStatuses(outcomes), reason: '' };
}

/**
 * Changes the mode in the configuration file, and sends a request again and again until the service has reloaded it.
 * @param {Stack} stack
 * @param {string} mode
 * @param {DemoRequest} request
 * @returns {Promise<Outcome>}
 */
export async function changeMode(stack, mode, request) {
  const start = performance.now();
  stack.setMode(mode);
  /** @type {Outcome[]} */
  const outcomes = [];
  while ((await readMode(stack)) !== mode) {
    if (performance.now() - start > RELOAD_TIMEOUT_MS)
      throw new DemoError(`the service did not reload its configuration: ${stack.service.logLines.at(-1)}`);
    outcomes.push(await send(stack, request));
  }
  const seconds = (performance.now() - start) / 1000;
  return { answer: `${countStatuses(outcomes)} in ${seconds.toFixed(1)} s`, reason: '' };
}

/** @param {Stack} stack */
async function readMode({ service }) {
  const config = parse(await (await fetch(`http://${service.admin}/config`)).text());
  return config.policies.default.mode;
}

/** @param {readonly Outcome[]} outcomes */
function countStatuses(outcomes) {
  /** @type {Map<string | undefined, number>} */
  const counts = new Map();
  for (const { answer } of outcomes) {
    const [status] = answer.split(' ');
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return Array.from(counts, ([status, count]) => `${count} x ${status}`).join(', ');
}

/**
 * @param {Stack} stack
 * @param {DemoRequest} request
 * @returns {Promise<Outcome>}
 */
async function send(stack, request) {
  const { envoy, port, folder } = stack;
  const { body, method = body === undefined ? 'GET' : 'POST', path = '/orders', headers = [] } = request;
  const bytes = body?.startsWith('@') ? readFileSync(join(folder, body.slice(1))) : body;
  for (let tries = 1; ; tries++) {
    if (request.sign !== undefined) await sign(stack, request, request.sign);
    const pairs = headers
      .flatMap((header) => headerLines(header, folder))
      .flatMap((line) => /^(.*?): (.*)$/.exec(line)?.slice(1) ?? []);
    const length = bytes === undefined ? [] : ['content-length', `${Buffer.byteLength(bytes)}`];
    const seen = envoy.accessLog().length;
    const call = httpRequest({
      ...{ host: '127.0.0.1', port, method, path },
      headers: ['host', `127.0.0.1:${port}`, ...pairs, ...length],
    });
    call.end(bytes);
    /** @type {[import('node:http').IncomingMessage]} */
    const [response] = /** @type {any} */ (await once(call, 'response'));
    const text = await readText(response);
    const line = await nextLogLine(envoy, seen);
    // On a busy machine a check may exceed the timeout in envoy.yaml, which gives 503: retry.
    if (line['details'] === 'ext_authz_error' && tries < MAX_TRIES) {
      await sleep(RETRY_MS);
      continue;
    }
    const isFromUpstream = response.headers['x-from'] === 'upstream';
    const verdict = isFromUpstream ? JSON.parse(text).headers['x-approov-verdict'] : undefined;
    return {
      answer: `${response.statusCode}${verdict === 'unverified' ? ' marked' : ''}`,
      reason: String(line['approov_reason'] ?? (isFromUpstream ? 'not checked' : 'by Envoy')),
    };
  }
}

/**
 * @param {string} header
 * @param {string} folder
 * @returns {string[]}
 */
function headerLines(header, folder) {
  if (!header.startsWith('@')) return [header];
  const [name = '', line] = header.slice(1).split(':');
  const lines = readFileSync(join(folder, name), 'utf8').trim().split('\n');
  return line === undefined ? lines : lines.slice(Number(line) - 1, Number(line));
}

/**
 * Does what the printed command does.
 * @param {Stack} stack
 * @param {DemoRequest} request
 * @param {import('./story.mjs').Signing} signing
 */
async function sign(stack, request, { file, key, tokenOf }) {
  const { folder } = stack;
  const [, token] = tokenOf === undefined ? [] : (headerLines(`@${tokenOf}:1`, folder)[0]?.split(': ') ?? []);
  const headers = await stack.mint([
    ...['--sign-request', 'POST', urlOf(request, stack)],
    ...['--body-file', join(folder, request.body?.slice(1) ?? '')],
    ...(key === undefined ? [] : ['--install-key', join(folder, key)]),
    ...(token === undefined ? [] : ['--token', token]),
  ]);
  writeFileSync(join(folder, file), `${headers}\n`, { mode: 0o600 });
}

/**
 * @param {Stack['envoy']} envoy
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
 * The checks so far, by mode, action and reason, from the service's metrics.
 * @param {Stack} stack
 * @returns {Promise<string[][]>}
 */
export async function readChecks({ service }) {
  const page = await (await fetch(`http://${service.admin}/metrics`)).text();
  return page.split('\n').flatMap((line) => {
    const { labels = '', count = '' } =
      /^approov_checks_total\{(?<labels>.*)\} (?<count>\d+)$/.exec(line)?.groups ?? {};
    const { mode, action, reason } = Object.fromEntries(
      Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, name, value]) => [name, value]),
    );
    return Number(count) > 0 ? [[mode, action, reason, count]] : [];
  });
}
