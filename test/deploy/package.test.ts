/** Tests the npm package: what `npm pack` puts into it, and that it runs once installed. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** Bundled, because it is on no registry. */
const WORKSPACE = 'packages/unary-grpc';
const folder = mkdtempSync(join(tmpdir(), 'approov-package-'));
const copy = join(folder, 'copy');
const installed = join(folder, 'installed');
let packed: readonly string[];

/** Packs a copy of the sources, so that `prepack` and `prepare` rebuild that copy and not the `dist` under test. */
async function pack(): Promise<{ filename: string; files: { path: string }[] }> {
  const sources = ['package.json', '.npmrc', '.gitignore', 'tsconfig.json', 'LICENSE', 'README.md'];
  const workspace = ['package.json', 'tsconfig.json', 'LICENSE', 'README.md', 'src'].map((name) =>
    join(WORKSPACE, name),
  );
  for (const name of [...sources, 'config.schema.json', 'src', 'proto', ...workspace])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  // As `npm ci` leaves it, with the link to the workspace.
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    symlinkSync(
      name === 'unary-grpc' ? join('..', WORKSPACE) : join(ROOT, 'node_modules', name),
      join(copy, 'node_modules', name),
    );
  for (const name of ['dist/stale.js', join(WORKSPACE, 'dist/stale.js')])
    cpSync(join(ROOT, 'vitest.config.ts'), join(copy, name));
  return npmPack();
}

async function npmPack(...options: string[]): Promise<{ filename: string; files: { path: string }[] }> {
  const args = ['pack', ...options, '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', args, { cwd: copy });
  // The output of the build comes first.
  return JSON.parse(stdout.slice(stdout.indexOf('[\n')))[0];
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
    const bundled = filesBelow(join(WORKSPACE, 'src')).flatMap((path) => {
      const module = path.replace(/^.*\/src\/(.*)\.ts$/, 'dist/$1');
      return [`${module}.js`, `${module}.d.ts`];
    });
    const expected = [
      ...compiled,
      ...filesBelow('proto'),
      ...others,
      ...[...bundled, 'LICENSE', 'README.md', 'package.json'].map(
        (path) => `node_modules/unary-grpc/${path}`,
      ),
    ];
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

describe('the package unary-grpc on its own', () => {
  const consumer = join(folder, 'consumer');
  const readme = readFileSync(join(ROOT, WORKSPACE, 'README.md'), 'utf8');
  const [, example = ''] = /```js\n(.*?)```/s.exec(readme) ?? [];

  beforeAll(async () => {
    const { filename } = await npmPack('--workspace', 'unary-grpc');
    mkdirSync(consumer);
    // --offline: it has no dependency to fetch.
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `../${filename}`], {
      cwd: consumer,
    });
    writeFileSync(join(consumer, 'example.mjs'), example);
  });

  test('has its compiled modules with their types, its licence and its README', () => {
    const files = readdirSync(join(consumer, 'node_modules/unary-grpc'));
    expect(files.sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
    const modules = filesBelow(join(WORKSPACE, 'src')).length;
    const built = readdirSync(join(consumer, 'node_modules/unary-grpc/dist'), { recursive: true });
    expect(built.filter((name) => String(name).endsWith('.d.ts'))).toHaveLength(modules);
    expect(built.filter((name) => String(name).endsWith('.js'))).toHaveLength(modules);
  });

  test('runs the example of its README, which answers a gRPC client', async () => {
    const child = spawn(process.execPath, ['example.mjs'], {
      cwd: consumer,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    try {
      const [output] = await once(child.stdout, 'data');
      const [, port] = /(\d+)/.exec(String(output)) ?? [];
      const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
      const answer = await new Promise((resolve, reject) => {
        const same = (bytes: Buffer) => bytes;
        client.makeUnaryRequest('/example.Greeter/Greet', same, same, Buffer.from('you'), (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
      client.close();
      expect(String(answer)).toBe('hello you');
    } finally {
      child.kill('SIGKILL');
      await closed;
    }
  });

  test('has types by which a TypeScript compiler finds a mistake', async () => {
    const lines = [
      "import { createUnaryServer, type UnaryMethod } from 'unary-grpc';",
      'const handle: UnaryMethod["handle"] = (message, call) => message.subarray(call.path.length);',
      "const server = createUnaryServer({ methods: new Map([['/a.B/C', { handle }]]) });",
      "server.shutdown('soon');",
    ];
    writeFileSync(join(consumer, 'typed.mts'), lines.join('\n'));
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    const roots = ['--typeRoots', join(ROOT, 'node_modules/@types')];
    const compiler = join(ROOT, 'node_modules/.bin/tsc');
    const compiling = run(compiler, [...options, ...roots, 'typed.mts'], { cwd: consumer });
    await expect(compiling).rejects.toMatchObject({
      stdout: expect.stringMatching(/^typed\.mts\(4,17\): error TS2345: [^\n]*\n$/),
    });
  });
});

function filesBelow(name: string): string[] {
  return readdirSync(join(ROOT, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}
