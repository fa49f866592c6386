/** Tests that memory does not grow with the number of users: 200,000 distinct valid tokens. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readMetrics } from '../support/admin-pages.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';

const TOKENS = 200_000;
const CALLS_AT_ONCE = 64;
const MAX_GROWTH_MIB = 60;

let service: RunningService;
let client: CheckClient;
beforeAll(async () => {
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET });
  client = createCheckClient(service.grpc);
});
afterAll(async () => {
  client.close();
  await service.kill();
});

function residentMib(): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

/** Sends this number of requests, some concurrently; @returns how many had which reason. */
async function send(count: number, tokenOf: () => string): Promise<Record<string, number>> {
  const reasons: Record<string, number> = {};
  let left = count;
  const run = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const headers = { 'user-agent': 'Shapes/4.2', 'approov-token': tokenOf() };
      const reason = metadataOf(await client.check(requestWith(headers)))['approov_reason'] ?? 'none';
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, run));
  return reasons;
}

/** As large as tokens of Approov, and valid for longer than this test runs. */
function largeToken(): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return freshToken({
    exp,
    did: 'ExampleApproovTokenDID==',
    ip: '203.0.113.7',
    arc: 'IXPSB7TRK26LXE3M',
    aud: '',
    iss: '',
  });
}

test(`${TOKENS} distinct valid tokens grow memory by less than ${MAX_GROWTH_MIB} MiB`, async () => {
  const idle = residentMib();
  let peak = idle;
  const watching = setInterval(() => {
    peak = Math.max(peak, residentMib());
  }, 100);
  const startMs = performance.now();
  expect(await send(TOKENS, largeToken)).toEqual({ ok: TOKENS });
  const seconds = (performance.now() - startMs) / 1000;
  clearInterval(watching);
  const metrics = await readMetrics(service.admin);
  expect(metrics.get('approov_token_cache_lookups_total{outcome="miss"}')).toBe(TOKENS);
  // V8 collects garbage lazily, and frees memory only after some twenty seconds of idle time.
  await vi.waitFor(() => expect(residentMib() - idle).toBeLessThan(MAX_GROWTH_MIB), {
    timeout: 120_000,
    interval: 1000,
  });
  const mib = (value: number): string => `${value.toFixed(1)} MiB`;
  process.stdout.write(
    `idle ${mib(idle)}, peak ${mib(peak)}, once idle again ${mib(residentMib())}; ${(TOKENS / seconds).toFixed(0)} checks/s\n`,
  );
});
