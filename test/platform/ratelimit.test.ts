/** Tests limits across Envoys: two of them, the rate limit service and Redis, with the files that compose uses. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type RunningEnvoy, relocate, startEnvoy } from '../../scripts/envoy.mjs';
import { eventually } from '../support/cluster.ts';
import { send, startSampleService, startUpstream, type Upstream } from '../support/envoy.ts';
import { freePort, type RunningTool, startTool } from '../support/platform-tool.ts';
import type { RunningService } from '../support/process.ts';
import { REDIS } from '../support/redis.ts';
import { answers, type Requirement, unmet } from '../support/requirement.ts';
import type { YamlMapping } from '../support/sample-files.ts';
import { freshToken } from '../support/token.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Ignored by git. */
const TOOLS = join(ROOT, '.tools/bin');
/** The project has no releases: this is a commit of its main branch. */
const RATELIMIT_MODULE =
  'github.com/envoyproxy/ratelimit/src/service_cmd@v1.4.1-0.20260122083618-3fb702589d36';
const COMPOSE = parse(readFileSync(join(ROOT, 'deploy/docker-compose.ratelimit.yaml'), 'utf8'));
const LIMITS = parse(readFileSync(join(ROOT, 'deploy/ratelimit/limits.yaml'), 'utf8'));

const RATELIMIT: Requirement = {
  name: 'ratelimit',
  source: `go install ${RATELIMIT_MODULE}, and its program under the name ratelimit`,
  isMet: async () => (await ratelimitProgram()) !== undefined,
};

/** The program from PATH, else built once with Go. */
async function ratelimitProgram(): Promise<string | undefined> {
  if (await answers('sh', ['-c', 'command -v ratelimit'])) return 'ratelimit';
  const built = join(TOOLS, 'service_cmd');
  if (existsSync(built)) return built;
  mkdirSync(TOOLS, { recursive: true });
  const install = [`GOBIN=${TOOLS}`, 'go', '-C', tmpdir(), 'install', RATELIMIT_MODULE];
  return (await answers('env', install)) ? built : undefined;
}

const skipped = await unmet([REDIS, RATELIMIT], 'that limits hold across Envoys as deploy/ratelimit says');

describe.skipIf(skipped !== '')(`limits across many Envoys${skipped}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'ratelimit-'));
  let redis: RunningTool;
  let ratelimit: RunningTool;
  let service: RunningService;
  let upstream: Upstream;
  let envoys: readonly RunningEnvoy[] = [];

  beforeAll(async () => {
    const redisPort = await freePort();
    const [, ...redisOptions] = COMPOSE.services.redis.command;
    const address = ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder];
    redis = startTool('redis-server', [...redisOptions, ...address]);
    // As in the compose file: the rate limit service exits if Redis is not up.
    await eventually(
      'Redis',
      async () => redis.output().includes('Ready to accept connections') || undefined,
    );

    mkdirSync(join(folder, 'ratelimit/config'), { recursive: true });
    copyFileSync(join(ROOT, 'deploy/ratelimit/limits.yaml'), join(folder, 'ratelimit/config/limits.yaml'));
    const [port, grpcPort, debugPort] = [await freePort(), await freePort(), await freePort()];
    ratelimit = startTool((await ratelimitProgram()) ?? '', [], {
      ...COMPOSE.services.ratelimit.environment,
      REDIS_URL: `127.0.0.1:${redisPort}`,
      RUNTIME_ROOT: folder,
      HOST: '127.0.0.1',
      PORT: String(port),
      GRPC_HOST: '127.0.0.1',
      GRPC_PORT: String(grpcPort),
      DEBUG_HOST: '127.0.0.1',
      DEBUG_PORT: String(debugPort),
    });
    await eventually('the rate limit service', async () => {
      if (!ratelimit.isRunning()) throw new Error(ratelimit.output());
      const health = await fetch(`http://127.0.0.1:${port}/healthcheck`).catch(() => undefined);
      return health?.ok ? true : undefined;
    });

    service = await startSampleService();
    upstream = await startUpstream();
    const config = relocate(patient(parse(readFileSync(join(ROOT, 'deploy/ratelimit/envoy.yaml'), 'utf8'))), {
      '0.0.0.0:10000': '127.0.0.1:0',
      '127.0.0.1:9901': '127.0.0.1:0',
      'approov-ext-authz:9001': service.grpc,
      'upstream:8080': upstream.address,
      'ratelimit:8081': `127.0.0.1:${grpcPort}`,
    });
    envoys = [await startEnvoy(config), await startEnvoy(config)];
  });

  afterAll(async () => {
    for (const envoy of envoys) await envoy.stop();
    await upstream?.close();
    await service?.kill();
    await ratelimit?.stop();
    await redis?.stop();
    rmSync(folder, { recursive: true });
  });

  const search = (envoy: RunningEnvoy | undefined, headers: Record<string, string> = {}) => {
    if (envoy === undefined) throw new Error('no Envoy');
    return send(envoy, { path: '/search', headers: Object.entries(headers) });
  };

  test('restrict unverified requests, counted for all Envoys together', async () => {
    const allowed = LIMITS.descriptors[0].descriptors[0].rate_limit.requests_per_unit;
    expect(allowed).toBe(20);
    const passed = [0, 0];
    // A minute may end in between, and reset the count: then twice as many pass, but never more.
    for (let round = 0; round <= allowed; round += 1) {
      const statuses = await Promise.all(envoys.map(async (envoy) => (await search(envoy)).status));
      for (const [index, status] of statuses.entries()) {
        expect([200, 429]).toContain(status);
        if (status === 200) passed[index] = (passed[index] ?? 0) + 1;
      }
      if (statuses.every((status) => status === 429)) break;
    }
    const [first = 0, second = 0] = passed;
    expect(first + second).toBeGreaterThanOrEqual(allowed);
    expect(first + second).toBeLessThanOrEqual(2 * allowed);
    // Each Envoy alone would allow that many before it refuses.
    expect(Math.max(first, second)).toBeLessThanOrEqual(allowed);
  });

  test('do not restrict verified requests of the same client, and count them by device', async () => {
    const token = freshToken({ did: 'device one' });
    for (const envoy of envoys) {
      const { status, headers } = await search(envoy, { 'approov-token': token });
      expect(status).toBe(200);
      expect(headers['x-ratelimit-limit']).toBe('600, 600;w=60');
    }
    const { headers } = await search(envoys[0], { 'approov-token': freshToken() });
    expect(headers).not.toHaveProperty('x-ratelimit-limit');
  });

  test('fail open when the rate limit service is down, for requests that a policy allows', async () => {
    await ratelimit.stop();
    for (const envoy of envoys) expect((await search(envoy)).status).toBe(200);
  });
});

/** With longer timeouts: on a busy machine a late answer would count as none. */
function patient(config: YamlMapping): unknown {
  const filters =
    config['static_resources'].listeners[0].filter_chains[0].filters[0].typed_config.http_filters;
  for (const { name, typed_config: settings } of filters) {
    if (name === 'envoy.filters.http.ratelimit') settings.timeout = '20s';
    if (name === 'envoy.filters.http.ext_authz') settings.grpc_service.timeout = '20s';
  }
  return config;
}
