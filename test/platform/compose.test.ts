/** Tests the image and the compose files on a real container engine. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, IMAGE_REPOSITORY, IMAGE_TAG } from '../support/cluster.ts';
import { freePort, runTool, runToolOrThrow } from '../support/platform-tool.ts';
import { answers, COMPOSE, DOCKER_ENGINE, type Requirement, unmet } from '../support/requirement.ts';
import { freshToken, SECRET } from '../support/token.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const IMAGE = `${IMAGE_REPOSITORY}:${IMAGE_TAG}`;
const VERSION: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
const SUFFIX = randomBytes(3).toString('hex');

function image(name: string): Requirement {
  return {
    name: `the image ${name}`,
    source: `docker pull ${name}`,
    isMet: async () =>
      (await answers('docker', ['image', 'inspect', name])) || answers('docker', ['pull', '--quiet', name]),
  };
}

const skipped = await unmet(
  [DOCKER_ENGINE, COMPOSE, ...['node:24-bookworm-slim', 'envoyproxy/envoy:v1.40.0'].map(image)],
  'that the image builds and runs confined, and that the compose file serves through Envoy',
);

async function docker(...args: string[]): Promise<string> {
  return (await runToolOrThrow('docker', args)).trim();
}

/** Prints the files of the image; a node script, as the image has no other program. */
const LIST_CONTENTS = `
  const files = fs.readdirSync('/')
    .filter((name) => !['proc', 'sys', 'dev'].includes(name) && fs.statSync('/' + name).isDirectory())
    .flatMap((name) => fs.readdirSync('/' + name, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.parentPath + '/' + entry.name);
  const isExecutable = (path) => fs.existsSync(path) && (fs.statSync(path).mode & 0o111) !== 0;
  const packages = fs.readdirSync('/var/lib/dpkg/status.d');
  console.log(JSON.stringify({
    app: fs.readdirSync('/app').sort(),
    modules: fs.readdirSync('/app/node_modules'),
    bundled: fs.readdirSync('/app/node_modules/unary-grpc').sort(),
    links: fs.readdirSync('/app/node_modules', { withFileTypes: true })
      .filter((entry) => entry.isSymbolicLink()).map((entry) => entry.name),
    programs: files.filter((path) => !/^\\/(app|etc|lib|lib64)\\//.test(path) && isExecutable(path)).sort(),
    packages,
    withoutCopyright: packages.filter((name) => !fs.existsSync('/usr/share/doc/' + name + '/copyright')),
  }));
`;

describe.skipIf(skipped !== '')(`the image${skipped}`, () => {
  const container = `approov-image-${SUFFIX}`;
  const contents = async (): Promise<Readonly<Record<string, readonly string[]>>> =>
    JSON.parse(await docker('run', '--rm', '--entrypoint', 'node', IMAGE, '--eval', LIST_CONTENTS));

  beforeAll(async () => {
    await docker('build', '--tag', IMAGE, '--build-arg', `VERSION=${VERSION}`, ROOT);
  });

  afterAll(async () => {
    await runTool('docker', ['rm', '--force', container]);
  });

  test('has labels that describe it, and does not run as root', async () => {
    const { Config: config } = JSON.parse(await docker('image', 'inspect', IMAGE))[0];
    expect(config.User).toBe('65532:65532');
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'approov-ext-authz',
      'org.opencontainers.image.version': VERSION,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
    expect(await docker('run', '--rm', IMAGE, '--version')).toBe(VERSION);
  });

  test('contains no program but node and the command, no tests and no sources', async () => {
    const { app, modules, programs } = await contents();
    expect(app).toEqual(['dist', 'node_modules', 'package.json', 'proto']);
    expect(modules).not.toContain('vitest');
    expect(modules).not.toContain('typescript');
    expect(programs).toEqual(['/usr/local/bin/approov-ext-authz', '/usr/local/bin/node']);
    expect(await docker('run', '--rm', '--entrypoint', 'approov-ext-authz', IMAGE, '--version')).toBe(
      VERSION,
    );
  });

  test('has no secret in its history or environment', async () => {
    const history = await docker('history', '--no-trunc', '--format', '{{.CreatedBy}}', IMAGE);
    const [{ Config: config }] = JSON.parse(await docker('image', 'inspect', IMAGE));
    expect(history).toContain('ENTRYPOINT');
    // The label that describes the service has the word tokens.
    expect(`${history}\n${config.Env.join('\n')}`).not.toMatch(/(secret|password|token)\w*=|BEGIN/i);
  });

  test('contains the workspace package as files, not as a link', async () => {
    const { bundled, links } = await contents();
    expect(bundled).toEqual(['dist', 'package.json']);
    expect(links).toEqual([]);
    const code = "import('unary-grpc').then((module) => console.log(typeof module))";
    expect(await docker('run', '--rm', '--entrypoint', 'node', IMAGE, '--eval', code)).toBe('object');
  });

  test('lists the Debian packages of its libraries, so that scanners find them', async () => {
    const { packages, withoutCopyright } = await contents();
    expect(packages).toEqual(expect.arrayContaining(['libc6', 'libgcc-s1', 'libstdc++6']));
    expect(withoutCopyright).toEqual([]);
  });

  test('becomes healthy with a read-only root and no capabilities, and drains when stopped', async () => {
    const confined = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
    const secret = ['--env', `APPROOV_BASE64_SECRET=${SECRET}`];
    await docker('run', '--detach', '--name', container, ...confined, ...secret, IMAGE);
    const state = async (format: string) => docker('inspect', '--format', format, container);
    await eventually('the state healthy', async () =>
      (await state('{{.State.Health.Status}}')) === 'healthy' ? true : undefined,
    );
    const inside = (code: string) => runTool('docker', ['exec', container, 'node', '--eval', code]);
    expect((await inside('console.log(process.getuid())')).output.trim()).toBe('65532');
    const status = await inside('console.log(fs.readFileSync("/proc/1/status", "utf8"))');
    expect(status.output).toMatch(/^CapEff:\s*0+$/m);
    expect((await inside('fs.writeFileSync("/app/x", "")')).output).toContain('EROFS');
    await docker('stop', '--time', '30', container);
    expect(await state('{{.State.ExitCode}}')).toBe('0');
    expect(await docker('logs', container)).not.toContain(SECRET);
  });

  test('exits at once with one line without a secret', async () => {
    const { code, output } = await runTool('docker', ['run', '--rm', IMAGE]);
    expect(code).toBe(2);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toContain('APPROOV_BASE64_SECRET_FILE');
  });
});

describe.skipIf(skipped !== '')(`docker compose${skipped}`, () => {
  const secretFile = join(ROOT, 'deploy/secrets/current');
  /** Keeps a user's secret; otherwise the test creates one, as the compose file describes, and removes it. */
  const isOurs = !existsSync(secretFile);
  const project = [
    'compose',
    '--project-name',
    `approov-${SUFFIX}`,
    '--file',
    join(ROOT, 'deploy/docker-compose.yaml'),
  ];
  const compose = (...args: string[]) => docker(...project, ...args);
  let address: string;

  const ask = async (headers: Record<string, string> = {}) =>
    (await fetch(`http://${address}/orders`, { headers })).status;

  beforeAll(async () => {
    if (isOurs) {
      mkdirSync(join(ROOT, 'deploy/secrets'), { recursive: true, mode: 0o700 });
      writeFileSync(secretFile, SECRET, { mode: 0o644 });
    }
    address = `127.0.0.1:${await freePort()}`;
    process.env['ENVOY_PORT'] = address.split(':')[1];
    await compose('up', '--detach', '--build', '--wait');
  });

  afterAll(async () => {
    await compose('down', '--timeout', '30', '--rmi', 'local');
    if (isOurs) rmSync(secretFile);
  });

  test('starts two healthy instances, and Envoy after them', async () => {
    const containers = (await compose('ps', '--format', 'json'))
      .split('\n')
      .map((line) => JSON.parse(line) as { Service: string; Health: string });
    const healthy = containers.filter(({ Health }) => Health === 'healthy').map(({ Service }) => Service);
    expect(healthy.sort()).toEqual(['approov-ext-authz', 'approov-ext-authz', 'envoy', 'upstream']);
    const started = async (service: string) => {
      const [id = ''] = (await compose('ps', '--quiet', service)).split('\n');
      return Date.parse(await docker('inspect', '--format', '{{.State.StartedAt}}', id));
    };
    expect(await started('envoy')).toBeGreaterThan(await started('approov-ext-authz'));
    expect(await started('envoy')).toBeGreaterThan(await started('upstream'));
  });

  test('refuses a request without a token and allows one with a token of `mint`', async () => {
    const mint = ['exec', '--no-TTY', 'approov-ext-authz', 'node', 'dist/cli.js', 'mint'];
    const token = await compose(...mint);
    expect(await ask()).toBe(401);
    expect(await ask({ 'approov-token': token })).toBe(200);
    expect(await ask({ 'approov-token': await compose(...mint, '--invalid') })).toBe(401);
    expect(await ask({ 'approov-token': freshToken({}, { secret: randomBytes(32) }) })).toBe(401);
  });

  test('keeps serving while either instance is stopped', async () => {
    const token = await compose('exec', '--no-TTY', 'approov-ext-authz', 'node', 'dist/cli.js', 'mint');
    const [first = ''] = (await compose('ps', '--quiet', 'approov-ext-authz')).split('\n');
    await docker('stop', '--time', '30', first);
    expect(await docker('inspect', '--format', '{{.State.ExitCode}}', first)).toBe('0');
    const statuses = [];
    for (let request = 0; request < 20; request += 1) statuses.push(await ask({ 'approov-token': token }));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await docker('start', first);
  });

  test('observes with APPROOV_MODE=observe, and passes the outcome to the API', async () => {
    process.env['APPROOV_MODE'] = 'observe';
    try {
      await compose('up', '--detach', '--wait');
      const response = await fetch(`http://${address}/orders`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({
        'x-approov-verdict': 'unverified',
        'x-approov-reason': 'missing_approov_token',
      });
    } finally {
      delete process.env['APPROOV_MODE'];
    }
  });

  test('has the host names that deploy/prometheus/prometheus.yaml scrapes', async () => {
    const fetchFrom = (from: string, url: string) =>
      compose(
        'exec',
        '--no-TTY',
        from,
        'node',
        '-e',
        `fetch('${url}').then((r) => r.text()).then((t) => console.log(t))`,
      );
    expect(await fetchFrom('approov-ext-authz', 'http://approov-ext-authz:9002/metrics')).toContain(
      'approov_build_info{',
    );
    expect(await fetchFrom('approov-ext-authz', 'http://envoy:9902/stats/prometheus')).toContain(
      'envoy_cluster_membership_healthy',
    );
    for (const url of ['http://envoy:9901/', 'http://approov-ext-authz:9002/metrics']) {
      await expect(fetchFrom('upstream', url), url).rejects.toThrow(/fetch failed/);
    }
  });
});
