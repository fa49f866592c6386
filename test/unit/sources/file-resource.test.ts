/** Tests that each resource is loaded from its files, and keeps its last good state when they go bad. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecryptionKeyConfig, KeyConfig } from '../../../src/config/config.ts';
import { NO_REFERENCES, parseConfig, referencesOf } from '../../../src/config/parse.ts';
import { digestOf, FileReader } from '../../../src/sources/file-reader.ts';
import {
  caResource,
  decryptionKeyResource,
  type FileResource,
  keyResource,
  type LoadedResource,
  type LoadedResources,
  loadResources,
  resourcesOf,
  tlsResource,
} from '../../../src/sources/file-resource.ts';
import type { ParsedKeys } from '../../../src/sources/key-parser.ts';
import { StableFiles } from '../../../src/sources/stable-files.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { createKeyPair, jwkSet } from '../../support/key-pair.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-resources-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const write = (name: string, content: string): void => writeFileSync(file(name), content);

beforeEach(() => {
  write('secret', SECRET);
  write('other', OTHER_SECRET);
});

function keyConfig(fields: Partial<KeyConfig> = {}): KeyConfig {
  return {
    id: 'current',
    format: 'secret',
    location: { file: file('secret') },
    kid: undefined,
    algorithms: undefined,
    hosts: undefined,
    path: 'keys[0].secretFile',
    ...fields,
  };
}

const OPENER: DecryptionKeyConfig = {
  id: 'opener',
  kid: undefined,
  format: 'secret',
  file: file('other'),
  keyManagementAlgorithms: undefined,
  contentEncryptionAlgorithms: undefined,
  isNested: true,
  path: 'decryptionKeys[0].secretFile',
};

function resourceOf(key: KeyConfig): FileResource {
  const resource = keyResource(key);
  if (resource === undefined) throw new Error('not a resource');
  return resource;
}

/** Every file counts as complete. */
function newReader(): FileReader {
  return new FileReader({ files: new StableFiles(() => 0), usedDigests: new Map(), areComplete: true });
}

function load(
  resources: readonly FileResource[],
  before?: ReadonlyMap<string, LoadedResource>,
  reader = newReader(),
): Promise<LoadedResources> {
  return loadResources(resources, reader, before && { resources: before, problems: new Map() });
}

describe('the resources', () => {
  it('are the keys of files of every kind, what the replay store needs, and TLS, but not a secret of the environment or a URL', () => {
    const { config } = parseConfig(
      [
        `keys: [{id: a, secretFile: ${file('secret')}}, {id: b, jwksUrl: 'https://localhost/'}]`,
        `decryptionKeys: [{id: c, secretFile: ${file('other')}}]`,
        `messageSigningKeys: [{id: d, mskid: m, secretFile: ${file('signing')}}]`,
        'replayStore: {url: "rediss://redis", caFile: /store.crt, usernameFile: /user, passwordFile: /password}',
        'listen: {tls: {certFile: /a.crt, keyFile: /a.key, clientCaFile: /ca.crt}}',
      ].join('\n'),
      {},
    );
    const resources = config && resourcesOf(referencesOf(config));
    expect(
      resources?.map(({ source, files }) => [source, ...files.map(({ path, file }) => `${path}: ${file}`)]),
    ).toEqual([
      ['keys', `keys[0].secretFile: ${file('secret')}`],
      ['keys', `decryptionKeys[0].secretFile: ${file('other')}`],
      ['keys', `messageSigningKeys[0].secretFile: ${file('signing')}`],
      ['tls', 'replayStore.caFile: /store.crt'],
      ['keys', 'replayStore.usernameFile: /user'],
      ['keys', 'replayStore.passwordFile: /password'],
      [
        'tls',
        'listen.tls.certFile: /a.crt',
        'listen.tls.keyFile: /a.key',
        'listen.tls.clientCaFile: /ca.crt',
      ],
    ]);
    const fromEnvironment = parseConfig(undefined, { APPROOV_BASE64_SECRET: SECRET }).references;
    expect(resourcesOf(fromEnvironment)).toEqual([]);
  });

  it('have the source jwks for a JWK Set, and keys for a PEM file', async () => {
    const pair = createKeyPair('a');
    write('jwks', jwkSet(pair));
    write('pem', pair.pem);
    const jwks = resourceOf(keyConfig({ format: 'jwks', location: { file: file('jwks') } }));
    const pem = resourceOf(
      keyConfig({ id: 'p', format: 'pem', location: { file: file('pem') }, algorithms: ['ES256'] }),
    );
    expect([jwks.source, pem.source]).toEqual(['jwks', 'keys']);
    const { loaded } = await load([jwks, pem]);
    expect(loaded.get(jwks.identity)?.value).toMatchObject({
      keys: [{ id: 'current', kid: 'a', algorithms: ['ES256'] }],
    });
    expect(loaded.get(pem.identity)?.value).toMatchObject({
      keys: [{ id: 'p', kid: undefined, algorithms: ['ES256'] }],
    });
  });

  it('are the CA of a URL, too, which keys may share', async () => {
    const { certFile, cert } = createCa(folder, 'url-ca');
    const at = (caFile: string | undefined) =>
      keyConfig({ format: 'jwks', location: { url: 'https://a.test/', caFile }, path: 'keys[0].jwksUrl' });
    const resource = caResource(at(certFile));
    expect(resource).toMatchObject({
      source: 'tls',
      files: [{ path: 'keys[0].caFile', file: certFile }],
    });
    expect([caResource(at(undefined)), caResource(keyConfig())]).toEqual([undefined, undefined]);
    const { loaded } = await load(resourcesOf({ ...NO_REFERENCES, keys: [at(certFile)] }));
    expect([...loaded.values()].map(({ value }) => value)).toEqual([cert]);
    const { failed } = await load(resourcesOf({ ...NO_REFERENCES, keys: [at(file('secret'))] }));
    expect(failed).toEqual([{ path: 'keys[0].caFile', message: `${file('secret')}: no certificate in PEM` }]);
  });

  it('may be a key in a certificate', async () => {
    const { certFile } = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
    const resource = resourceOf(
      keyConfig({ format: 'pem', location: { file: certFile }, algorithms: ['ES256'] }),
    );
    expect((await load([resource])).loaded.get(resource.identity)?.value).toMatchObject({
      keys: [{ algorithms: ['ES256'] }],
    });
  });

  it('are identified by their description, not by their place in the configuration', () => {
    const identity = (fields: Partial<KeyConfig>): string => resourceOf(keyConfig(fields)).identity;
    expect(identity({ path: 'keys[1].secretFile' })).toBe(identity({}));
    const others: Partial<KeyConfig>[] = [
      { id: 'next' },
      { kid: 'x' },
      { algorithms: ['HS512'] },
      { hosts: ['a.test'] },
      { location: { file: file('other') } },
    ];
    expect(new Set([{}, ...others].map(identity)).size).toBe(others.length + 1);
  });
});

describe('loadResources', () => {
  const current = resourceOf(keyConfig());
  const opener = decryptionKeyResource(OPENER);

  it('loads each resource from its file', async () => {
    const { loaded, stale, failed } = await load([current, opener]);
    expect([stale.size, failed]).toEqual([0, []]);
    expect(loaded.get(current.identity)?.value).toMatchObject({
      keys: [{ id: 'current', algorithms: ['HS256'] }],
    });
    expect(loaded.get(opener.identity)?.value).toMatchObject({ id: 'opener', isNested: true });
  });

  it.each([
    ['is missing', () => rmSync(file('secret')), `${file('secret')}: no such file`],
    ['is empty', () => write('secret', ''), `${file('secret')}: the secret is empty`],
    [
      'is not a secret',
      () => write('secret', '!'),
      `${file('secret')}: the secret (1 characters) is neither base64 nor base64url`,
    ],
  ])(
    'keeps the last good state of a resource whose file %s, and reports why',
    async (_what, breakIt, message) => {
      const before = (await load([current, opener])).loaded;
      breakIt();
      const { loaded, stale, failed } = await load([current, opener], before);
      expect(loaded.get(current.identity)).toBe(before.get(current.identity));
      expect([...stale]).toEqual([['keys', [{ path: 'keys[0].secretFile', message }]]]);
      expect(failed).toEqual([]);
      expect((await load([current])).failed).toEqual([{ path: 'keys[0].secretFile', message }]);
    },
  );

  it('loads a good resource though another is bad', async () => {
    const before = (await load([current, opener])).loaded;
    rmSync(file('other'));
    write('secret', OTHER_SECRET);
    const { loaded, stale } = await load([current, opener], before);
    expect(loaded.get(current.identity)?.digest).not.toBe(before.get(current.identity)?.digest);
    expect(stale.get('keys')).toHaveLength(1);
  });

  it('does not parse an unchanged file again', async () => {
    const before = (await load([current])).loaded;
    expect((await load([current], before)).loaded.get(current.identity)).toBe(before.get(current.identity));
  });

  it('keeps the key objects, on which the token cache depends, if a rewritten file has the same keys', async () => {
    const pair = createKeyPair('same');
    write('jwks', jwkSet(pair));
    const set = resourceOf(keyConfig({ format: 'jwks', location: { file: file('jwks') } }));
    const before = (await load([current, opener, set])).loaded;
    write('secret', `${SECRET}\n`);
    write('other', `${OTHER_SECRET}\n`);
    write('jwks', `${jwkSet(pair)}\n`);
    const after = (await load([current, opener, set], before)).loaded;
    for (const { identity } of [current, set]) {
      const [last, next] = [before, after].map((resources) => resources.get(identity));
      expect(next?.digest).not.toBe(last?.digest);
      expect((next?.value as ParsedKeys | undefined)?.keys).toBe(
        (last?.value as ParsedKeys | undefined)?.keys,
      );
    }
    expect(after.get(opener.identity)?.value).toBe(before.get(opener.identity)?.value);
  });

  it('has no last good state for a key with a new description', async () => {
    const before = (await load([current])).loaded;
    rmSync(file('secret'));
    const { loaded, failed } = await load([resourceOf(keyConfig({ kid: 'x' }))], before);
    expect(loaded.size).toBe(0);
    expect(failed).toMatchObject([{ message: `${file('secret')}: no such file` }]);
  });

  it('names the line and column of a syntax error in a JWK Set', async () => {
    write('jwks', '{\n  "keys": [\n    {"kty": "EC"},\n  ]\n}\n');
    const { failed } = await load([
      resourceOf(keyConfig({ format: 'jwks', location: { file: file('jwks') } })),
    ]);
    expect(failed).toEqual([
      { path: 'keys[0].secretFile', message: `${file('jwks')}:4:3: is not JSON: a value is missing here` },
    ]);
  });

  it('drops a resource that is no longer configured', async () => {
    const before = (await load([current, opener])).loaded;
    expect([...(await load([opener], before)).loaded.keys()]).toEqual([opener.identity]);
  });

  it('does not hide a bug', async () => {
    const bug = new RangeError('a bug');
    const broken: FileResource = {
      ...current,
      parse() {
        throw bug;
      },
    };
    await expect(load([broken])).rejects.toBe(bug);
  });

  it('loads certificate and key together, or neither', async () => {
    const ca = createCa(folder, 'pair-ca');
    const [one, two] = [issueCertificate(folder, 'one', ca), issueCertificate(folder, 'two', ca)];
    write('crt', one.cert);
    write('key', one.key);
    const resource = tlsResource({ certFile: file('crt'), keyFile: file('key') });
    if (resource === undefined) throw new Error('not a resource');
    const before = (await load([resource])).loaded;
    write('crt', two.cert);
    const half = await load([resource], before);
    expect(half.loaded.get(resource.identity)?.value).toMatchObject({ cert: one.cert, key: one.key });
    expect(half.stale.get('tls')).toMatchObject([
      {
        path: 'listen.tls.keyFile',
        message: `${file('key')}: the private key is not that of the certificate`,
      },
    ]);
    write('key', two.key);
    const whole = await load([resource], half.loaded);
    expect(whole.loaded.get(resource.identity)?.value).toMatchObject({ cert: two.cert, key: two.key });
  });
});

describe('FileReader', () => {
  it('reads each file once, so that two resources of one file agree', async () => {
    const [a, b] = [resourceOf(keyConfig()), resourceOf(keyConfig({ id: 'same' }))];
    const reader = newReader();
    const before = await load([a], undefined, reader);
    write('secret', OTHER_SECRET);
    const after = await load([a, b], before.loaded, reader);
    expect(after.loaded.get(b.identity)?.digest).toBe(before.loaded.get(a.identity)?.digest);
  });

  it('reads a file once for two concurrent calls', async () => {
    const reader = newReader();
    const [first, second] = await Promise.all([reader.read(file('secret')), reader.read(file('secret'))]);
    expect(first).toBe(second);
  });

  it('has a digest of each file that differs by content and for a missing file', async () => {
    const reader = newReader();
    const readings = await Promise.all(['secret', 'other', 'none'].map((name) => reader.read(file(name))));
    const texts = readings.map(({ text }) => text);
    expect(Object.fromEntries(reader.digests)).toEqual({
      [file('secret')]: digestOf(texts[0]),
      [file('other')]: digestOf(texts[1]),
      [file('none')]: digestOf(texts[2]),
    });
    expect(
      new Set([...texts, undefined, { kind: 'read', text: '' } as const].map((text) => digestOf(text))).size,
    ).toBe(5);
    expect(digestOf({ kind: 'read', text: 'a' }, { kind: 'read', text: 'b' })).not.toBe(
      digestOf({ kind: 'read', text: 'ab' }),
    );
  });
});
