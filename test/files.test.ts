/** Owns the proof that a file is read, or that one line says why it cannot be. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTextFile } from '../src/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'files-'));
symlinkSync('loop', join(folder, 'loop'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('readTextFile', () => {
  it('gives the text', async () => {
    expect(await readTextFile(write('a', 'tëxt\n'))).toEqual({ text: 'tëxt\n' });
    expect(await readTextFile(write('empty', ''))).toEqual({ text: '' });
  });

  it('gives what is there now, in place of what was there before', async () => {
    const file = write('changing', 'one');
    expect(await readTextFile(file)).toEqual({ text: 'one' });
    writeFileSync(file, 'two');
    expect(await readTextFile(file)).toEqual({ text: 'two' });
  });

  it('follows links, as Kubernetes lays them', async () => {
    mkdirSync(join(folder, '..v1'));
    writeFileSync(join(folder, '..v1', 'secret'), 'inside');
    symlinkSync('..v1', join(folder, '..data'));
    symlinkSync('..data/secret', join(folder, 'link'));
    expect(await readTextFile(join(folder, 'link'))).toEqual({ text: 'inside' });
  });

  it.each([
    ['is not there', () => join(folder, 'none'), 'no such file'],
    ['is a folder', () => folder, 'is a directory'],
    ['lies below a file', () => join(write('plain', ''), 'x'), 'a part of the path is no directory'],
    ['has too long a name', () => join(folder, 'x'.repeat(300)), 'too long a name'],
    ['has a name that no file has', () => `${folder}/a\0b`, 'ERR_INVALID_ARG_VALUE'],
    ['links to itself', () => join(folder, 'loop'), 'ELOOP'],
  ])('says of a file that %s why', async (_what, make, problem) => {
    const file = make();
    expect(await readTextFile(file)).toEqual({ problem: `${file}: ${problem}` });
  });

  it.skipIf(process.getuid?.() === 0)('says of a file that it must not read: permission denied', async () => {
    const file = write('forbidden', '');
    chmodSync(file, 0);
    expect(await readTextFile(file)).toEqual({ problem: `${file}: permission denied` });
  });
});
