/** Finds the running service: the addresses in its configuration, and what its admin pages answer. */
import { once } from 'node:events';
import { type IncomingMessage, request as openRequest } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { formatAddress, type ListenAddress, printableAddress } from '../config/address.ts';
import { ConfigError, type Problem } from '../config/config.ts';
import type { ListenSettings } from '../config/listen.ts';
import { parseListen } from '../config/parse-listen.ts';
import { placeProblems } from '../config/places.ts';
import { describeConnectionError } from '../sources/connection-problem.ts';
import { readTextFile } from '../sources/text-file.ts';
import { configFile, type Io, type Options } from './command.ts';

/** Longer than a service with workers waits for their metrics. */
export const ADMIN_TIMEOUT_SECONDS = 3;

/** More than `/metrics` with many policies and keys. */
const MAX_PAGE_BYTES = 16 * 2 ** 20;

/** @throws {ConfigError} the file cannot be read, or its `listen` section is invalid. */
export async function readListen(options: Options, io: Io): Promise<ListenSettings> {
  return readSection(options, io, (text) => parseListen(text, io.env));
}

type Parsed<T> =
  | { readonly kind: 'valid'; readonly value: T }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/**
 * Reads a part of the configuration file, if there is one.
 * @throws {ConfigError} the file cannot be read, or that part is invalid.
 */
export async function readSection<T>(
  options: Options,
  io: Io,
  parse: (text: string | undefined) => Parsed<T>,
): Promise<T> {
  const file = configFile(options, io);
  const text = file === undefined ? undefined : await readTextFile(file);
  if (text?.kind === 'unreadable') {
    throw new ConfigError([{ path: 'configuration file', message: text.problem }]);
  }
  const parsed = parse(text?.text);
  if (parsed.kind === 'invalid')
    throw new ConfigError(placeProblems(file ?? '', text?.text ?? '', parsed.problems));
  return parsed.value;
}

/** The address to connect to for a listen address: loopback for the wildcard addresses. */
export function dialAddress(address: ListenAddress): ListenAddress {
  if (address.kind === 'unix') return address;
  const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return { ...address, host: loopback[address.host] ?? address.host };
}

/** The arguments of `connect` in node:net and node:tls. */
export function connectOptions(address: ListenAddress) {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
}

/**
 * Connects to the gRPC listener over TLS, without verifying its certificate, which may be private or expired: nothing
 * secret is sent, and a configured address is not a host name to check.
 */
export function connectGrpcTls(address: ListenAddress): TLSSocket {
  return connect({ ...connectOptions(address), ALPNProtocols: ['h2'], rejectUnauthorized: false });
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * Asks for an admin page, or posts JSON to it. Not with `fetch`, which refuses some ports that a listener may have, such
 * as 6000. Rejects with the error of the connection, or with the reason of the signal.
 */
export async function getPage(
  admin: ListenAddress,
  path: string,
  signal: AbortSignal,
  json?: object,
): Promise<Answer> {
  try {
    return await requestPage(admin, path, signal, json);
  } catch (error) {
    // In the middle of a response, Node reports an abort as a reset of the connection.
    throw signal.aborted ? signal.reason : error;
  }
}

async function requestPage(
  admin: ListenAddress,
  path: string,
  signal: AbortSignal,
  json?: object,
): Promise<Answer> {
  const host = formatAddress(admin);
  const [method, headers, body] =
    json === undefined
      ? ['GET', { host }]
      : ['POST', { host, 'content-type': 'application/json' }, JSON.stringify(json)];
  const target = { ...connectOptions(admin), path, method, headers, agent: false, signal };
  const request = openRequest(target);
  // A later error is reported by the response.
  request.on('error', () => undefined);
  request.end(body);
  const [response] = (await once(request, 'response', { signal })) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_PAGE_BYTES) throw new Error(`${path} has more than ${MAX_PAGE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
}

const NOT_REACHED: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);

/** Why the admin listener gave no answer that can be used, in one line, with advice. */
export function describeAdminError(error: NodeJS.ErrnoException, admin: ListenAddress): string {
  const { name, code } = error;
  const address = printableAddress(admin);
  const advice = 'is the service running? (its admin address: listen.admin or APPROOV_ADMIN_LISTEN)';
  if (name === 'TimeoutError') return `${address}: no answer within ${ADMIN_TIMEOUT_SECONDS} s; ${advice}`;
  if (NOT_REACHED.has(code)) return `${address}: ${describeConnectionError(error)}; ${advice}`;
  // Not HTTP, or not to the end.
  return `${notOurs(admin)} (${code ?? name})`;
}

export function notOurs(admin: ListenAddress): string {
  return `${printableAddress(admin)} does not answer like the admin port of approov-ext-authz: check listen.admin or APPROOV_ADMIN_LISTEN`;
}
