/** Tests that a file is read, or that one line says why it cannot be. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readFileBytes, readTextFile } from '../../../src/sources/text-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'files-'));
symlinkSync('loop', join(folder, 'loop'));
const pipe = join(folder, 'pipe');
execFileSync('mkfifo', [pipe]);
const NOT_REGULAR = 'not a regular file';
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('readTextFile', () => {
  it('returns the text', async () => {
    expect(await readTextFile(write('a', 'tëxt\n'))).toEqual({ kind: 'read', text: 'tëxt\n' });
    expect(await readTextFile(write('empty', ''))).toEqual({ kind: 'read', text: '' });
    expect(await readTextFile(write('marked', '\ufeff{}'))).toEqual({ kind: 'read', text: '{}' });
  });

  it('returns the current content', async () => {
    const file = write('changing', 'one');
    expect(await readTextFile(file)).toEqual({ kind: 'read', text: 'one' });
    writeFileSync(file, 'two');
    expect(await readTextFile(file)).toEqual({ kind: 'read', text: 'two' });
  });

  it('follows symbolic links as Kubernetes creates them', async () => {
    mkdirSync(join(folder, '..v1'));
    writeFileSync(join(folder, '..v1', 'secret'), 'inside');
    symlinkSync('..v1', join(folder, '..data'));
    symlinkSync('..data/secret', join(folder, 'link'));
    expect(await readTextFile(join(folder, 'link'))).toEqual({ kind: 'read', text: 'inside' });
  });

  it.each([
    ['does not exist', () => join(folder, 'none'), 'no such file'],
    ['is a folder', () => folder, 'is a directory'],
    ['is below a file', () => join(write('plain', ''), 'x'), 'a part of the path is not a directory'],
    ['has too long a name', () => join(folder, 'x'.repeat(300)), 'file name too long'],
    ['has an invalid name', () => `${folder}/a\0b`, 'invalid file name'],
    ['is a pipe without a writer', () => pipe, NOT_REGULAR],
    ['is an endless device', () => '/dev/zero', NOT_REGULAR],
    ['is very large', () => write('large', ' '.repeat(1024 * 1024 + 1)), 'is over 1048576 bytes'],
    ['is a symbolic link to itself', () => join(folder, 'loop'), 'ELOOP'],
  ])('reports why a file that %s cannot be read', async (_what, make, problem) => {
    const file = make();
    expect(await readTextFile(file)).toEqual({ kind: 'unreadable', problem: `${file}: ${problem}` });
  });

  it.skipIf(process.getuid?.() === 0)('reports permission denied', async () => {
    const file = write('forbidden', '');
    chmodSync(file, 0);
    expect(await readTextFile(file)).toEqual({ kind: 'unreadable', problem: `${file}: permission denied` });
  });

  it('does not show a name that is a secret, whole or cut', async () => {
    const hidden = 'no such file; file name hidden: it looks like a secret';
    for (let count = 0; count < 200; count++) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const secret = createHash('sha512').update(`${count}`).digest(encoding);
        const hex = Buffer.from(secret, encoding).subarray(0, 32).toString('hex');
        for (const file of [
          hex,
          `/run/secrets/${hex.toUpperCase()}`,
          secret,
          `/run/secrets/${secret.replaceAll('/', '')}`,
          secret.slice(0, 61),
        ]) {
          const { problem } = (await readTextFile(file)) as { problem: string };
          expect(problem.replace('file name too long', 'no such file'), file).toBe(hidden);
        }
      }
    }
  });

  it.each([
    '/run/secrets/approov-ext-authz/Production_2024/eu-west-1/current-secret.base64',
    '/Users/somebody/Projects2024/approov/secrets/production/current',
    'Our-Company_Approov-Secret-2024.txt',
    '3f2504e0-4f89-11d3-9a0c-0305e82c3301',
  ])('shows the name %s', async (file) => {
    const hint = file.startsWith('/') ? '' : ` in ${process.cwd()}`;
    expect(await readTextFile(file)).toEqual({ kind: 'unreadable', problem: `${file}: no such file${hint}` });
  });
});

describe('readFileBytes', () => {
  it('returns the bytes, which need not be text', async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x0a]);
    expect(await readFileBytes(write('bytes', bytes))).toEqual({ kind: 'read', bytes });
  });

  it('reports why a file cannot be read', async () => {
    const problem = `${folder}: is a directory`;
    expect(await readFileBytes(folder)).toEqual({ kind: 'unreadable', problem });
  });
});

describe('a file in another encoding than UTF-8', () => {
  const text = 'keys: [{id: a, secretFile: /a}]';
  const swapped = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();
  const utf16 = Buffer.from(text, 'utf16le');

  it.each([
    { name: 'UTF-16 as Windows writes it', content: Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]) },
    {
      name: 'UTF-16 of the other byte order',
      content: Buffer.concat([Buffer.from([0xfe, 0xff]), swapped(utf16)]),
    },
    { name: 'UTF-16 without a mark', content: utf16 },
    { name: 'UTF-16 of the other byte order without a mark', content: swapped(utf16) },
  ])('is refused: $name', async ({ content }) => {
    const file = write('encoded', content);
    expect(await readTextFile(file)).toEqual({
      kind: 'unreadable',
      problem: `${file}: is in UTF-16: save it as UTF-8`,
    });
  });

  it.each([
    {
      name: 'UTF-8 with a mark, which is not part of the text',
      content: Buffer.from(`\ufeff${text}`),
      expected: text,
    },
    { name: 'an empty file', content: Buffer.alloc(0), expected: '' },
    { name: 'a NUL here and there', content: Buffer.from('a\0bc\0d'), expected: 'a\0bc\0d' },
  ])('is read: $name', async ({ content, expected }) => {
    expect(await readTextFile(write('plain', content))).toEqual({ kind: 'read', text: expected });
  });
});
