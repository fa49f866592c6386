/** Checks the Dockerfile and the compose files without an engine. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { relocate, startEnvoy } from '../../scripts/envoy.mjs';
import { parseConfig } from '../../src/config/parse.ts';
import { freePort, runTool } from '../support/platform-tool.ts';
import { COMPOSE, HADOLINT, unmet } from '../support/requirement.ts';
import { readYaml, type YamlMapping } from '../support/sample-files.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const COMPOSE_FILE = 'deploy/docker-compose.yaml';
const RATELIMIT_FILE = 'deploy/docker-compose.ratelimit.yaml';
const SIGNATURES_FILE = 'deploy/docker-compose.message-signatures.yaml';

interface ComposeService extends YamlMapping {
  readonly image: string;
  readonly user?: string;
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const services: Readonly<Record<string, ComposeService>> = readYaml(COMPOSE_FILE).services;
const ratelimitServices: Readonly<Record<string, ComposeService>> = readYaml(RATELIMIT_FILE).services;
const signatureServices: Readonly<Record<string, ComposeService>> = readYaml(SIGNATURES_FILE).services;
const everyService: readonly (readonly [name: string, service: ComposeService])[] = [
  ...Object.entries({ ...ratelimitServices, ...services }),
  ['redis', signatureServices['redis'] as ComposeService],
];

const unlinted = await unmet([HADOLINT], 'that the Dockerfile follows the rules of hadolint');

describe('the Dockerfile', () => {
  test.skipIf(unlinted !== '')(`passes hadolint${unlinted}`, async () => {
    expect(await runTool('hadolint', [join(ROOT, 'Dockerfile')])).toEqual({ code: 0, output: '' });
  });

  test('takes every base image from an argument, so that a release can pin it by digest', () => {
    const bases = [...DOCKERFILE.matchAll(/^FROM (\S+)/gm)].map(([, base = '']) =>
      base.replace(/[${}]/g, ''),
    );
    expect(bases).toEqual(['NODE_IMAGE', 'NODE_IMAGE', 'NODE_IMAGE', 'scratch']);
    expect(DOCKERFILE).toContain('ARG NODE_IMAGE=node:24-bookworm-slim\n');
  });

  test('ends in a stage from scratch that runs no build command and is not root', () => {
    const last = DOCKERFILE.slice(DOCKERFILE.lastIndexOf('FROM '));
    expect(last).toMatch(/^FROM scratch$/m);
    expect(last).not.toMatch(/^RUN /m);
    expect(last).toMatch(/^USER 65532:65532$/m);
    expect(last).toMatch(/^ENTRYPOINT \["node", "--max-semi-space-size=4", "dist\/cli.js"\]$/m);
    expect(last).toMatch(/^HEALTHCHECK .* CMD \["node", "dist\/cli.js", "healthcheck"\]$/m);
  });

  test('takes no secret when the image is built, which would stay in its history', () => {
    const names = [...DOCKERFILE.matchAll(/^(?:ARG|ENV) ([A-Z_]+)=.*?(?: ([A-Z_]+)=.*)?$/gm)].flatMap(
      ([, first, second]) => [first, second ?? []].flat(),
    );
    expect(names).toEqual(['NODE_IMAGE', 'VERSION', 'REVISION', 'CREATED', 'SOURCE', 'NODE_ENV', 'PATH']);
    expect(DOCKERFILE).not.toMatch(/--mount=type=secret|secret|password/i);
  });

  test('has the command on the PATH, as a link to the entry point', () => {
    expect(DOCKERFILE).toContain('mkdir bin && ln -s /app/dist/cli.js bin/approov-ext-authz\n');
    expect(DOCKERFILE).toContain("'1s|^#!/usr/bin/env node$|#!/usr/local/bin/node|' dist/cli.js");
    expect(DOCKERFILE).toMatch(/^COPY --from=build \/app\/bin\/ \/usr\/local\/bin\/$/m);
    const cli = readFileSync(join(ROOT, 'src/cli.ts'), 'utf8');
    expect(cli.split('\n')[0]).toBe('#!/usr/bin/env node');
  });

  test('has the files of the workspace package, where npm makes a link', () => {
    expect(DOCKERFILE).toMatch(/^RUN npm ci --omit=dev .* && rm node_modules\/unary-grpc$/m);
    for (const [from, to] of [
      ['package.json', ''],
      ['dist', 'dist'],
    ])
      expect(DOCKERFILE).toContain(
        `COPY --from=build /app/packages/unary-grpc/${from} ./node_modules/unary-grpc/${to}\n`,
      );
  });

  test('copies only what .dockerignore allows, including all that the code reads at run time', () => {
    const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    );
    expect([...new Set(copied)].sort()).toEqual(allowed.sort());
    for (const source of copied) expect(existsSync(join(ROOT, source)), source).toBe(true);
    const { workspaces } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(copied).toEqual(expect.arrayContaining(workspaces.map((name: string) => `${name}/src`)));
    expect(DOCKERFILE).toMatch(/^COPY package.json .\/$/m);
    expect(DOCKERFILE).toMatch(/^COPY proto .\/proto$/m);
  });
});

const uncomposed = await unmet([COMPOSE], 'that docker compose takes the files');

describe('the compose files', () => {
  test.skipIf(uncomposed !== '').each([RATELIMIT_FILE, SIGNATURES_FILE])(
    `are accepted by docker compose, with %s${uncomposed}`,
    async (addition) => {
      const files = ['--file', join(ROOT, COMPOSE_FILE), '--file', join(ROOT, addition)];
      const options = ['--profile', 'observability', 'config', '--quiet'];
      expect(await runTool('docker', ['compose', ...files, ...options])).toEqual({ code: 0, output: '' });
    },
  );

  test.each(everyService)('run %s with minimal privileges', (name, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(service).not.toHaveProperty('privileged');
    expect(service).not.toHaveProperty('ulimits');
    // These images are known to set a user themselves.
    if (!['approov-ext-authz', 'prometheus', 'grafana'].includes(name)) {
      expect(service.user, name).toMatch(/^(node|[1-9]\d*:[1-9]\d*)$/);
    }
  });

  test('give no container a terminal, on which the log would not be JSON', () => {
    for (const [, service] of everyService) expect(service).not.toHaveProperty('tty');
  });

  test('publish ports on this machine only', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports).toHaveLength(3);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  test('mount only files that exist', () => {
    const mounted = [services, ratelimitServices, signatureServices].flatMap((all) =>
      Object.values(all).flatMap((service) => service.volumes ?? []),
    );
    expect(mounted.length).toBeGreaterThan(5);
    for (const volume of mounted) {
      const [source = ''] = volume.split(':');
      expect(existsSync(join(ROOT, 'deploy', source)), source).toBe(true);
      expect(volume).toMatch(/:ro$/);
    }
  });

  test('mount the configuration as a folder, so that an editor may replace the file', () => {
    expect(services['approov-ext-authz']?.volumes).toEqual(['./config:/etc/approov:ro']);
    expect(services['approov-ext-authz']?.environment?.['APPROOV_CONFIG']).toBe('/etc/approov/config.yaml');
  });

  test('connect the API to Envoy only, and every container to what it calls', () => {
    const networks = Object.entries(services).map(([name, service]) => [name, service['networks']]);
    expect(Object.fromEntries(networks)).toEqual({
      envoy: ['api', 'authz', 'monitoring'],
      'approov-ext-authz': ['authz', 'monitoring'],
      upstream: ['api'],
      prometheus: ['monitoring'],
      grafana: ['monitoring'],
    });
    for (const name of ['envoy', 'ratelimit', 'redis']) {
      expect(ratelimitServices[name]?.['networks'], name).toEqual(['limits']);
    }
    for (const name of ['approov-ext-authz', 'redis']) {
      expect(signatureServices[name]?.['networks'], name).toEqual(['replay']);
    }
  });

  test('give Envoy more memory than its own limit', () => {
    const [heap] = readYaml('envoy.yaml').overload_manager.resource_monitors;
    const mebibytes = Number.parseInt(services['envoy']?.['mem_limit'], 10);
    expect(mebibytes * 2 ** 20).toBeGreaterThan(heap.typed_config.max_heap_size_bytes);
  });

  test('expose one path of the admin page to Prometheus, while the page stays on loopback', async () => {
    const [, , , , flag, yaml] = services['envoy']?.['command'] ?? [];
    expect(flag).toBe('--config-yaml');
    const config = readYaml('envoy.yaml');
    const added = parse(yaml);
    expect(Object.keys(added)).toEqual(['static_resources']);
    // As Envoy merges the two: it concatenates lists.
    config.static_resources.listeners.push(...added.static_resources.listeners);
    config.static_resources.clusters.push(...added.static_resources.clusters);
    const admin = `127.0.0.1:${await freePort()}`;
    const envoy = await startEnvoy(
      relocate(config, {
        '0.0.0.0:10000': '127.0.0.1:0',
        '0.0.0.0:9902': '127.0.0.1:0',
        '127.0.0.1:9901': admin,
        'approov-ext-authz:9001': '127.0.0.1:9',
        'upstream:8080': '127.0.0.1:9',
      }),
    );
    const ask = async (path: string, method = 'GET'): Promise<number> =>
      (await fetch(`http://127.0.0.1:${envoy.port('metrics')}${path}`, { method })).status;
    try {
      expect(await ask('/stats/prometheus')).toBe(200);
      for (const path of [
        '/',
        '/config_dump',
        '/stats',
        '/stats/prometheus/',
        '/stats/prometheus/../../config_dump',
      ]) {
        expect(await ask(path), path).toBe(404);
      }
      expect(await ask('/quitquitquit', 'POST')).toBe(404);
      expect(await ask('/stats/prometheus', 'POST')).toBe(404);
    } finally {
      await envoy.stop();
    }
  });

  test('start Envoy only once the service and the API are healthy', () => {
    expect(services['envoy']?.['depends_on']).toEqual({
      'approov-ext-authz': { condition: 'service_healthy' },
      upstream: { condition: 'service_healthy' },
    });
  });

  test('run two instances, and give each enough time to drain', () => {
    const service = services['approov-ext-authz'];
    expect(service?.['deploy'].replicas).toBe(2);
    const file = readFileSync(join(ROOT, 'deploy/config/config.yaml'), 'utf8');
    const { config, problems } = parseConfig(file, {
      APPROOV_BASE64_SECRET_FILE: service?.environment?.['APPROOV_BASE64_SECRET_FILE'],
    });
    expect(problems).toEqual([]);
    const { delaySeconds, timeoutSeconds } = config?.settings.drain ?? { delaySeconds: 0, timeoutSeconds: 0 };
    expect(Number.parseInt(service?.['stop_grace_period'], 10)).toBeGreaterThanOrEqual(
      delaySeconds + timeoutSeconds + 5,
    );
  });

  test('use the service names and ports of envoy.yaml', () => {
    const { clusters, listeners } = readYaml('envoy.yaml').static_resources;
    const hosts = clusters.map(hostOf);
    expect(hosts).toEqual(['approov-ext-authz:9001', 'upstream:8080']);
    for (const host of hosts) expect(Object.keys(services)).toContain(host.split(':')[0]);
    expect(readFileSync(join(ROOT, 'deploy/upstream.mjs'), 'utf8')).toContain('const PORT = 8080;');
    const { port_value: port } = listeners[0].address.socket_address;
    expect(services['envoy']?.ports?.[0]).toMatch(new RegExp(`:${port}$`));
  });

  test('keep the secret out of git', () => {
    const { file } = readYaml(COMPOSE_FILE).secrets.current;
    expect(file).toBe('./secrets/current');
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')).toContain('deploy/secrets/');
  });
});

function hostOf(cluster: YamlMapping): string {
  const { address, port_value: port } =
    cluster['load_assignment'].endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
  return `${address}:${port}`;
}

describe('the compose file for signed requests', () => {
  test('replaces envoy.yaml and the folder of the configuration', () => {
    expect(signatureServices['envoy']?.volumes).toEqual([
      './message-signatures/envoy.yaml:/etc/envoy/envoy.yaml:ro',
    ]);
    expect(signatureServices['approov-ext-authz']?.volumes).toEqual(['./message-signatures:/etc/approov:ro']);
  });

  test('has the store that the configuration names, which refuses before it forgets', () => {
    const { url } = readYaml('deploy/message-signatures/config.yaml').replayStore;
    expect(Object.keys(signatureServices)).toContain(new URL(url).hostname);
    const redis = signatureServices['redis'];
    const [, megabytes] =
      /--maxmemory,(\d+)mb,--maxmemory-policy,noeviction$/.exec(String(redis?.['command'])) ?? [];
    expect(Number(megabytes)).toBeLessThan(Number.parseInt(redis?.['mem_limit'], 10));
  });

  test('publishes no port', () => {
    for (const service of Object.values(signatureServices)) expect(service).not.toHaveProperty('ports');
  });
});

describe('the limits across many Envoys', () => {
  const local = readYaml('envoy.yaml');
  const global = readYaml('deploy/ratelimit/envoy.yaml');
  const filtersOf = (config: typeof local) =>
    config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters;
  const limits = readYaml('deploy/ratelimit/limits.yaml');

  test('change nothing in envoy.yaml but the rate limit filter and its cluster', () => {
    const filters = filtersOf(global).map((filter: { name: string }, index: number) =>
      filter.name === 'envoy.filters.http.ratelimit' ? filtersOf(local)[index] : filter,
    );
    expect(filters).toEqual(filtersOf(local));
    const expected = structuredClone(local);
    filtersOf(expected).splice(0, Number.POSITIVE_INFINITY, ...filtersOf(global));
    expected.static_resources.clusters.push(global.static_resources.clusters.at(-1));
    expect(global).toEqual(expected);
    expect(hostOf(global.static_resources.clusters.at(-1))).toBe('ratelimit:8081');
  });

  test('count by our dynamic metadata, under the keys that Envoy sends', () => {
    const filter = filtersOf(global).find(
      ({ name }: { name: string }) => name === 'envoy.filters.http.ratelimit',
    ).typed_config;
    expect(filter.domain).toBe(limits.domain);
    const sent = filter.rate_limits.map(
      ({ actions }: { actions: { metadata?: { descriptor_key: string; metadata_key: object } }[] }) =>
        actions.map((action) => action.metadata?.descriptor_key ?? Object.keys(action)[0]),
    );
    expect(sent).toEqual([['approov_action', 'remote_address'], ['approov_did']]);
    const [limited, devices] = limits.descriptors;
    expect([limited.key, limited.descriptors[0].key]).toEqual(sent[0]);
    expect(limited.value).toBe('limit');
    expect([devices.key]).toEqual(sent[1]);
  });
});
