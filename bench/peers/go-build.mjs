/** Builds the lean Go server, into a folder that git ignores. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCE = fileURLToPath(new URL('go', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.bench', import.meta.url));
const PROGRAM = `${CACHE}/go-peer`;

/**
 * Does nothing if it is built: `go build` compares the sources itself.
 * @returns {Promise<{ kind: 'built', program: string } | { kind: 'unavailable', why: string }>}
 */
export async function buildGoPeer() {
  mkdirSync(CACHE, { recursive: true });
  try {
    await promisify(execFile)('go', ['build', '-trimpath', '-o', PROGRAM, '.'], { cwd: SOURCE });
    return { kind: 'built', program: PROGRAM };
  } catch (error) {
    const { code, stderr, message } = /** @type {Error & { code?: unknown, stderr?: string }} */ (error);
    if (code === 'ENOENT') return { kind: 'unavailable', why: 'go is not on PATH' };
    return { kind: 'unavailable', why: `go build: ${stderr?.trim().split('\n').at(-1) ?? message}` };
  }
}
