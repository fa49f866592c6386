/** Owns the proof that each resource of a configuration is made of its files, and outlives them in its last good state. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecryptionKeyConfig, KeyConfig } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { CompleteFiles } from '../../../src/sources/complete-files.ts';
import {
  caPart,
  decryptionKeyResource,
  digestOf,
  FileReader,
  type FileResource,
  keyResource,
  type LoadedResource,
  type LoadedResources,
  loadResources,
  resourcesOf,
  tlsResource,
} from '../../../src/sources/file-resource.ts';
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

function keySource(fields: Partial<KeyConfig> = {}): KeyConfig {
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

function partOf(source: KeyConfig): FileResource {
  const resource = keyResource(source);
  if (resource === undefined) throw new Error('is no resource');
  return resource;
}

/** Takes every file as complete. */
function newReader(): FileReader {
  return new FileReader(new CompleteFiles(() => 0), new Map(), true);
}

function load(
  resources: readonly FileResource[],
  before?: ReadonlyMap<string, LoadedResource>,
  reader = newReader(),
): Promise<LoadedResources> {
  return loadResources(resources, reader, before && { resources: before, problems: new Map() });
}

describe('the resources', () => {
  it('are the keys of files, the decryption keys, and TLS; a secret of the environment and a URL are none', () => {
    const { config } = parseConfig(
      [
        `keys: [{id: a, secretFile: ${file('secret')}}, {id: b, jwksUrl: 'https://localhost/'}]`,
        `decryptionKeys: [{id: c, secretFile: ${file('other')}}]`,
        'listen: {tls: {certFile: /a.crt, keyFile: /a.key, clientCaFile: /ca.crt}}',
      ].join('\n'),
      {},
    );
    const resources = config && resourcesOf(config.keys, config.decryptionKeys, config.settings.listen.tls);
    expect(resources?.map(({ kind, path, files }) => ({ kind, path, files }))).toEqual([
      { kind: 'keys', path: 'keys[0].secretFile', files: [file('secret')] },
      { kind: 'keys', path: 'decryptionKeys[0].secretFile', files: [file('other')] },
      { kind: 'tls', path: 'listen.tls', files: ['/a.crt', '/a.key', '/ca.crt'] },
    ]);
    const fromEnvironment = parseConfig(undefined, { APPROOV_BASE64_SECRET: SECRET }).keys;
    expect(resourcesOf(fromEnvironment, [], undefined)).toEqual([]);
  });

  it('are of the kind jwks for a JWK Set, and of the kind keys for a PEM file', async () => {
    const pair = createKeyPair('a');
    write('jwks', jwkSet(pair));
    write('pem', pair.pem);
    const jwks = partOf(keySource({ format: 'jwks', location: { file: file('jwks') } }));
    const pem = partOf(
      keySource({ id: 'p', format: 'pem', location: { file: file('pem') }, algorithms: ['ES256'] }),
    );
    expect([jwks.kind, pem.kind]).toEqual(['jwks', 'keys']);
    const { good } = await load([jwks, pem]);
    expect(good.get(jwks.identity)?.value).toMatchObject({
      keys: [{ id: 'current', kid: 'a', algorithms: ['ES256'] }],
    });
    expect(good.get(pem.identity)?.value).toMatchObject({
      keys: [{ id: 'p', kid: undefined, algorithms: ['ES256'] }],
    });
  });

  it('are the CA of a URL, too, which keys may share', async () => {
    const { certFile, cert } = createCa(folder, 'url-ca');
    const at = (caFile: string | undefined) =>
      keySource({ format: 'jwks', location: { url: 'https://a.test/', caFile }, path: 'keys[0].jwksUrl' });
    const resource = caPart(at(certFile));
    expect(resource).toMatchObject({ kind: 'tls', path: 'keys[0].caFile', files: [certFile] });
    expect([caPart(at(undefined)), caPart(keySource())]).toEqual([undefined, undefined]);
    const { good } = await load(resourcesOf([at(certFile)], [], undefined));
    expect([...good.values()].map(({ value }) => value)).toEqual([cert]);
    const { fatal } = await load(resourcesOf([at(file('secret'))], [], undefined));
    expect(fatal).toEqual([
      { path: 'keys[0].caFile', message: `${file('secret')}: the CA holds no certificate in PEM` },
    ]);
  });

  it('may be a key in a certificate', async () => {
    const { certFile } = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
    const resource = partOf(
      keySource({ format: 'pem', location: { file: certFile }, algorithms: ['ES256'] }),
    );
    expect((await load([resource])).good.get(resource.identity)?.value).toMatchObject({
      keys: [{ algorithms: ['ES256'] }],
    });
  });

  it('are other ones with another description, but not in another place of the configuration', () => {
    const identity = (fields: Partial<KeyConfig>): string => partOf(keySource(fields)).identity;
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
  const current = partOf(keySource());
  const opener = decryptionKeyResource(OPENER);

  it('makes each resource of what its file holds', async () => {
    const { good, stale, fatal } = await load([current, opener]);
    expect([stale.size, fatal]).toEqual([0, []]);
    expect(good.get(current.identity)?.value).toMatchObject({
      keys: [{ id: 'current', algorithms: ['HS256'] }],
    });
    expect(good.get(opener.identity)?.value).toMatchObject({ id: 'opener', isNested: true });
  });

  it.each([
    ['is gone', () => rmSync(file('secret')), `${file('secret')}: no such file`],
    ['is empty', () => write('secret', ''), `${file('secret')}: the secret is empty`],
    [
      'is no secret',
      () => write('secret', '!'),
      `${file('secret')}: the secret (1 characters) is neither base64 nor base64url`,
    ],
  ])('keeps the last good state of one whose file %s, and says why', async (_what, breakIt, message) => {
    const before = (await load([current, opener])).good;
    breakIt();
    const { good, stale, fatal } = await load([current, opener], before);
    expect(good.get(current.identity)).toBe(before.get(current.identity));
    expect([...stale]).toEqual([['keys', [{ path: 'keys[0].secretFile', message }]]]);
    expect(fatal).toEqual([]);
    expect((await load([current])).fatal).toEqual([{ path: 'keys[0].secretFile', message }]);
  });

  it('takes what is good though another resource is bad', async () => {
    const before = (await load([current, opener])).good;
    rmSync(file('other'));
    write('secret', OTHER_SECRET);
    const { good, stale } = await load([current, opener], before);
    expect(good.get(current.identity)?.digest).not.toBe(before.get(current.identity)?.digest);
    expect(stale.get('keys')).toHaveLength(1);
  });

  it('does not make anew what has not changed', async () => {
    const before = (await load([current])).good;
    expect((await load([current], before)).good.get(current.identity)).toBe(before.get(current.identity));
  });

  it('has no good state for a key that is described in another way', async () => {
    const before = (await load([current])).good;
    rmSync(file('secret'));
    const { good, fatal } = await load([partOf(keySource({ kid: 'x' }))], before);
    expect(good.size).toBe(0);
    expect(fatal).toMatchObject([{ message: `${file('secret')}: no such file` }]);
  });

  it('forgets a resource that is asked for no more', async () => {
    const before = (await load([current, opener])).good;
    expect([...(await load([opener], before)).good.keys()]).toEqual([opener.identity]);
  });

  it('lets a bug be a bug', async () => {
    const bug = new RangeError('a bug');
    const broken: FileResource = {
      ...current,
      parse() {
        throw bug;
      },
    };
    await expect(load([broken])).rejects.toBe(bug);
  });

  it('takes certificate and key together, or neither', async () => {
    const ca = createCa(folder, 'pair-ca');
    const [one, two] = [issueCertificate(folder, 'one', ca), issueCertificate(folder, 'two', ca)];
    write('crt', one.cert);
    write('key', one.key);
    const resource = tlsResource({ certFile: file('crt'), keyFile: file('key') });
    if (resource === undefined) throw new Error('is no resource');
    const before = (await load([resource])).good;
    write('crt', two.cert);
    const half = await load([resource], before);
    expect(half.good.get(resource.identity)?.value).toMatchObject({ cert: one.cert, key: one.key });
    expect(half.stale.get('tls')).toMatchObject([
      {
        path: 'listen.tls',
        message: expect.stringContaining(`${file('crt')}, ${file('key')}: not a certificate`),
      },
    ]);
    write('key', two.key);
    const whole = await load([resource], half.good);
    expect(whole.good.get(resource.identity)?.value).toMatchObject({ cert: two.cert, key: two.key });
  });
});

describe('a look', () => {
  it('reads each file once, so that two resources made of one file agree', async () => {
    const [a, b] = [partOf(keySource()), partOf(keySource({ id: 'same' }))];
    const reader = newReader();
    const before = await load([a], undefined, reader);
    write('secret', OTHER_SECRET);
    const after = await load([a, b], before.good, reader);
    expect(after.good.get(b.identity)?.digest).toBe(before.good.get(a.identity)?.digest);
  });

  it('reads a file once, though it holds both certificate and key and is asked for twice at a time', async () => {
    const reader = newReader();
    const [first, second] = await Promise.all([reader.read(file('secret')), reader.read(file('secret'))]);
    expect(first).toBe(second);
  });

  it('knows what it read by digests that tell content from content and from no file', async () => {
    const reader = newReader();
    const readings = await Promise.all(['secret', 'other', 'none'].map((name) => reader.read(file(name))));
    const texts = readings.map(({ text }) => text);
    expect(Object.fromEntries(reader.digests)).toEqual({
      [file('secret')]: digestOf(texts[0]),
      [file('other')]: digestOf(texts[1]),
      [file('none')]: digestOf(texts[2]),
    });
    expect(new Set([...texts, undefined, { text: '' }].map((text) => digestOf(text))).size).toBe(5);
    expect(digestOf({ text: 'a' }, { text: 'b' })).not.toBe(digestOf({ text: 'ab' }));
  });
});
