/** Measures with h2load how many more checks per second a second worker answers. */
import { execFile } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { afterAll, expect, test, vi } from 'vitest';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { limitCpu } from '../support/cpu-share.ts';
import { requestWith } from '../support/grpc-client.ts';
import { program, unmet } from '../support/requirement.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';
const ROUNDS = 5;
const CHECKS_PER_ROUND = 30_000;
const CONNECTIONS = 16;
/** Two for the workers, one for the primary and everything else, one for h2load. */
const CORES_NEEDED = 4;
/** The share of a core for each worker on smaller machines, so that two of them and h2load do not compete for CPU. */
const SHARE = 0.35;
const EXPECTED_RATIO = 1.7;

const H2LOAD = program('h2load', ['--version'], 'the package nghttp2-client of Debian');
const missing = await unmet([H2LOAD], 'that two workers answer more checks per second than one');

const scratch = createScratch('workers-long');
const services: CheckedService[] = [];
const groups: (() => void)[] = [];
afterAll(async () => {
  for (const service of services) await service.kill();
  // Workers exit after their primary.
  await vi.waitFor(() => {
    for (const remove of groups) remove();
  });
  scratch.remove();
});

interface Crew {
  readonly service: CheckedService;
  /** The pids of the processes that answer checks. */
  readonly pids: readonly number[];
}

async function start(workers: number): Promise<Crew> {
  const keys = [{ id: 'current', secretFile: scratch.write('secret', SECRET) }];
  const service = await startChecked(scratch, { keys, workers });
  services.push(service);
  return { service, pids: workers === 1 ? [service.pid] : await readyWorkers(service, workers) };
}

/** Whether every worker could be limited to its share. */
function shareOut(crews: readonly Crew[]): boolean {
  const made = crews.flatMap(({ pids }) => pids).map((pid) => limitCpu(pid, SHARE));
  groups.push(...made.filter((remove) => remove !== undefined));
  return !made.includes(undefined);
}

/** The file that h2load sends: one message after the five-byte gRPC prefix. */
function writeMessage(): string {
  const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    keepCase: true,
  })['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
  const request = requestWith({
    'approov-token': freshToken({ exp: 4_000_000_000 }),
    'user-agent': 'Shapes/4.2',
  });
  const message = definition['Check']?.requestSerialize(request) ?? Buffer.alloc(0);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return scratch.write('message', Buffer.concat([head, message]));
}

async function checksPerSecond(service: CheckedService, message: string): Promise<number> {
  const { stdout } = await promisify(execFile)('h2load', [
    ...['-n', String(CHECKS_PER_ROUND), '-c', String(CONNECTIONS), '-m', '20', '-t', '1', '-d', message],
    ...['-H', 'content-type: application/grpc', '-H', 'te: trailers'],
    `http://${service.grpc}${CHECK_PATH}`,
  ]);
  expect(stdout).toContain(`${CHECKS_PER_ROUND} succeeded`);
  return Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(stdout)?.[1]);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

test.skipIf(missing !== '')(`two workers answer more checks per second than one${missing}`, async () => {
  const message = writeMessage();
  const [one, two] = [await start(1), await start(2)];
  const [loadBefore = 0] = loadavg();
  const freeCores = Math.max(0, availableParallelism() - loadBefore);
  const hasCores = freeCores >= CORES_NEEDED - 0.5;
  const isShared = !hasCores && shareOut([one, two]);
  const results: { one: number[]; two: number[] } = { one: [], two: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    const byOne = await checksPerSecond(one.service, message);
    const byTwo = await checksPerSecond(two.service, message);
    // The first round warms up.
    if (round === 0) continue;
    results.one.push(byOne);
    results.two.push(byTwo);
  }
  const ratio = median(results.two) / median(results.one);
  process.stdout.write(
    `1 worker ${median(results.one).toFixed(0)}/s, 2 workers ${median(results.two).toFixed(0)}/s: ${ratio.toFixed(2)}×` +
      ` (${availableParallelism()} cores, ${freeCores.toFixed(1)} of them free` +
      `${isShared ? `; each worker held to ${SHARE} of a core` : ''})\n`,
  );
  if (hasCores || isShared) expect(ratio).toBeGreaterThanOrEqual(EXPECTED_RATIO);
  else
    process.stdout.write(
      `NOT HELD to ${EXPECTED_RATIO}×: that needs ${CORES_NEEDED} free cores, or cgroups\n`,
    );
});
