/** Tests the npm package: what `npm pack` puts into it, and that it runs once installed. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORKSPACE = 'packages/unary-grpc';
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

const folder = mkdtempSync(join(tmpdir(), 'approov-package-'));
const installed = join(folder, 'installed');
let packed: readonly string[];

/** Packs a copy of the sources, so that `prepack` and `prepare` rebuild that copy and not the `dist` under test. */
async function pack(): Promise<{ filename: string; files: { path: string }[] }> {
  const copy = join(folder, 'copy');
  const sources = ['package.json', '.npmrc', '.gitignore', 'tsconfig.json', 'LICENSE', 'README.md'];
  for (const name of [...sources, 'config.schema.json', 'src', 'proto'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  for (const name of ['package.json', 'tsconfig.json', 'LICENSE', 'README.md', 'src']) {
    cpSync(join(ROOT, WORKSPACE, name), join(copy, WORKSPACE, name), { recursive: true });
  }
  linkModules(join(copy, 'node_modules'));
  cpSync(join(ROOT, 'vitest.config.ts'), join(copy, 'dist/stale.js'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: copy });
  // The output of the build comes first.
  return JSON.parse(stdout.slice(stdout.indexOf('[\n')))[0];
}

/** The workspace package is that of the copy. */
function linkModules(target: string): void {
  mkdirSync(target);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    const source = name === 'unary-grpc' ? join('..', WORKSPACE) : join(ROOT, 'node_modules', name);
    symlinkSync(source, join(target, name));
  }
}

/** Runs the installed command through npx, which must not fetch anything. */
function npx(...args: string[]) {
  const env = { PATH: process.env['PATH'], APPROOV_BASE64_SECRET: randomBytes(64).toString('base64') };
  return run('npx', ['--no-install', 'approov-ext-authz', ...args], { cwd: installed, env });
}

beforeAll(async () => {
  const { filename, files } = await pack();
  packed = files.map(({ path }) => path).sort();
  mkdirSync(installed);
  // `npm ci` has filled npm's cache with every dependency. protobufjs has a postinstall script, which it does not need.
  const options = ['--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', ['install', `../${filename}`, ...options], { cwd: installed });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the npm package', () => {
  test('contains the compiled sources, proto, config.schema.json, LICENSE, README and unary-grpc only', () => {
    const compiled = filesBelow('src').map((path) => path.replace(/^src\/(.*)\.ts$/, 'dist/$1.js'));
    const others = ['LICENSE', 'README.md', 'config.schema.json', 'package.json'];
    const expected = [...compiled, ...filesBelow('proto'), ...others, ...bundled()];
    expect(packed).toEqual(expected.sort());
  });

  test('installs without dev dependencies and has no install script', () => {
    const modules = readdirSync(join(installed, 'node_modules'));
    expect(modules).toEqual(expect.arrayContaining(['approov-ext-authz', '@grpc', 'jose']));
    expect(modules.filter((name) => ['@biomejs', 'typescript', 'vitest'].includes(name))).toEqual([]);
    const manifest = join(installed, 'node_modules/approov-ext-authz/package.json');
    const { scripts, ...fields } = JSON.parse(readFileSync(manifest, 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(fields, 'npm would not publish it').not.toHaveProperty('private');
    expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });

  test('runs by npx: --version and check-config', async () => {
    expect((await npx('--version')).stdout.trim()).toContain(version);
    const { stdout } = await npx('check-config');
    expect(stdout).toContain('policies:');
  });

  test('serves: it finds proto/ and its dependencies where npm put them', async () => {
    const env = {
      PATH: process.env['PATH'],
      APPROOV_BASE64_SECRET: randomBytes(64).toString('base64'),
      APPROOV_GRPC_LISTEN: '127.0.0.1:0',
      APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
    };
    const command = join(installed, 'node_modules/.bin/approov-ext-authz');
    const child = spawn(command, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    let output = '';
    for await (const chunk of child.stdout) {
      output += chunk;
      if (output.includes('"msg":"serving"')) child.kill('SIGKILL');
    }
    await closed;
    expect(output).toContain('"msg":"serving"');
  });

  test('exports no module: it is a command, not a library', () => {
    const { resolve } = createRequire(join(installed, 'index.js'));
    expect(() => resolve('approov-ext-authz')).toThrow(/No "exports" main defined/);
    expect(() => resolve('approov-ext-authz/dist/checker.js')).toThrow(/not defined by "exports"/);
    expect(resolve('approov-ext-authz/package.json')).toContain(installed);
  });
});

/** The files of the workspace package, which is bundled. */
function bundled(): string[] {
  const compiled = filesBelow(`${WORKSPACE}/src`)
    .map((path) => path.slice(`${WORKSPACE}/src/`.length, -'.ts'.length))
    .flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
  const files = [...compiled, 'LICENSE', 'README.md', 'package.json'];
  return files.map((path) => `node_modules/unary-grpc/${path}`);
}

function filesBelow(name: string): string[] {
  return readdirSync(join(ROOT, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}
