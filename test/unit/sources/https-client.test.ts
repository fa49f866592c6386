/** Tests fetching with configured certificate authorities and through a configured proxy. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FetchError, type FetchOptions, fetchText } from '../../../src/sources/https-client.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type ConnectProxy, startConnectProxy } from '../../support/connect-proxy.ts';
import { type KeyHost, redirectTo, startKeyHost } from '../../support/key-host.ts';

const folder = mkdtempSync(join(tmpdir(), 'https-text-'));
const ca = createCa(folder, 'ca');
const otherCa = createCa(folder, 'other-ca');
const certificate = issueCertificate(folder, 'localhost', ca);
const ofOtherName = issueCertificate(folder, 'other', ca, 'DNS:other.example.com');
afterAll(() => rmSync(folder, { recursive: true }));

let host: KeyHost;
let proxy: ConnectProxy;
beforeEach(async () => {
  host = await startKeyHost(certificate, 'a text');
  proxy = await startConnectProxy();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await host.close();
  await proxy.close();
});

/** The text, or the error's message in brackets. */
async function fetched(options: Partial<FetchOptions> = {}, url = `${host.origin}/jwks`): Promise<string> {
  const all = { ca: ca.cert, proxy: undefined, ...options };
  return fetchText(url, all).catch((error: unknown) => {
    expect(error).toBeInstanceOf(FetchError);
    return `[${(error as FetchError).message}]`;
  });
}

function through(url = proxy.url, except = ''): Partial<FetchOptions> {
  return { proxy: { url, except } };
}

const UNTRUSTED =
  /^\[the certificate is not from a trusted authority \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)\)/;

test('a host that serves JWK Sets by their own media type only accepts the request', async () => {
  const accepted: (string | undefined)[] = [];
  host.answer((response, { headers }) => {
    accepted.push(headers.accept);
    response.writeHead(headers.accept?.includes('application/jwk-set+json') ? 200 : 406).end('a set');
  });
  expect(await fetched()).toBe('a set');
  expect(accepted).toEqual(['application/jwk-set+json, application/json']);
});

describe('configured certificate authorities', () => {
  test('are trusted, and no others', async () => {
    expect(await fetched()).toBe('a text');
    expect(await fetched({ ca: otherCa.cert })).toMatch(UNTRUSTED);
    expect(await fetched({ ca: undefined })).toMatch(UNTRUSTED);
    expect(await fetched({ ca: otherCa.cert + ca.cert })).toBe('a text');
    expect(host.requests).toHaveLength(2);
  });

  test('must match the name of the host, through a proxy as well', async () => {
    const other = await startKeyHost(ofOtherName, 'a text');
    expect(await fetched({}, other.origin)).toBe(
      '[the certificate is for another host (ERR_TLS_CERT_ALTNAME_INVALID)]',
    );
    expect(await fetched(through(), other.origin)).toBe(
      '[the certificate is for another host (ERR_TLS_CERT_ALTNAME_INVALID) (HTTPS_PROXY is set)]',
    );
    expect(other.requests).toEqual([]);
    await other.close();
  });
});

describe('a proxy', () => {
  test('opens a tunnel, in which the host’s certificate is checked', async () => {
    expect(await fetched(through())).toBe('a text');
    expect(proxy.tunnels).toEqual([{ to: `localhost:${host.port}`, authorization: undefined }]);
    expect(await fetched({ ...through(), ca: otherCa.cert })).toMatch(UNTRUSTED);
    expect(host.requests).toHaveLength(1);
  });

  test('is used for the target of a redirect as well', async () => {
    const other = await startKeyHost(certificate, 'elsewhere');
    host.answer(redirectTo(`${other.origin}/keys`));
    expect(await fetched(through())).toBe('elsewhere');
    expect(proxy.tunnels.map(({ to }) => to)).toEqual([`localhost:${host.port}`, `localhost:${other.port}`]);
    await other.close();
  });

  test('gets the user name and password of its URL', async () => {
    const url = proxy.url.replace('//', '//us%40er:p%3Ass@');
    expect(await fetched(through(url))).toBe('a text');
    const authorization = `Basic ${Buffer.from('us@er:p:ss').toString('base64')}`;
    expect(proxy.tunnels).toEqual([{ to: `localhost:${host.port}`, authorization }]);
  });

  test.each([
    ['localhost', 0],
    ['.localhost', 0],
    ['*', 0],
    ['a.test, LOCALHOST', 0],
    ['host', 1],
    ['a.test', 1],
    ['localhost:1', 1],
  ])('with NO_PROXY %j opens %i tunnels', async (except, tunnels) => {
    expect(await fetched(through(proxy.url, except))).toBe('a text');
    expect(proxy.tunnels).toHaveLength(tunnels);
  });

  test('that refuses or cannot be reached is named as a possible cause, without its password', async () => {
    const refusing = await startConnectProxy(407);
    const url = refusing.url.replace('//', '//user:hunter2@');
    expect(await fetched(through(url))).toBe('[the proxy answers with status 407]');
    await refusing.close();
    expect(await fetched(through(url))).toBe('[connection refused (ECONNREFUSED) (HTTPS_PROXY is set)]');
    expect(host.requests).toEqual([]);
  });

  test('of the environment is not used unless it is configured', async () => {
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'])
      vi.stubEnv(name, proxy.url);
    expect(await fetched()).toBe('a text');
    vi.stubEnv('NO_PROXY', '*');
    vi.stubEnv('no_proxy', '*');
    expect(await fetched(through())).toBe('a text');
    expect(proxy.tunnels).toHaveLength(1);
  });
});
