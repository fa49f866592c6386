/** Tests `npm run demo`: its output, that it keeps its secret private, and that it cleans up. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEnvoy } from '../../scripts/envoy.mjs';
import { eventually } from '../support/envoy.ts';

const DEMO = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url));

function startDemo(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, output: () => output, ended };
}

describe('the demo with --keep', () => {
  /** The folder of its temporary files. */
  const folder = mkdtempSync(join(tmpdir(), 'demo-'));
  let child: ChildProcess;
  let ended: Promise<number | null>;
  let output: () => string;

  beforeAll(async () => {
    const env = { TMPDIR: folder, ENVOY_BIN: await findEnvoy() };
    ({ child, ended, output } = startDemo(['--keep'], env));
    await eventually(
      () => output().includes("service's log follows") || child.exitCode !== null || undefined,
      110,
    );
  });
  afterAll(async () => {
    // Not SIGKILL, which would leave its child processes running.
    child?.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true });
  });

  /** The first group of a pattern's first match. */
  const printed = (pattern: RegExp): string => pattern.exec(output())?.[1] ?? `nothing like ${pattern}`;

  /** Retries after a 503, which Envoy answers when a check exceeds the timeout of the sample. */
  const statusOf = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
    eventually(async () => {
      const { status } = await fetch(url, { headers });
      return status === 503 ? undefined : status;
    });

  test('gets the expected outcome in every row', () => {
    expect(output()).toContain('\nAll as expected.\n');
    expect(output().match(/^(ok|NOT) .*$/gm)).toHaveLength(15);
    expect(output()).not.toMatch(/^NOT/m);
  });

  test('names each reason, and shows the metrics that increased', () => {
    for (const reason of ['token_expired', 'invalid_token_signature', 'binding_mismatch', 'cors_preflight']) {
      expect(output()).toMatch(new RegExp(`^ok .* ${reason}$`, 'm'));
      expect(output()).toMatch(new RegExp(`\\+[1-9]\\d* +approov_checks_total\\{.*reason="${reason}"\\}`));
    }
  });

  test('prints curl lines whose tokens work', async () => {
    const lines = output().matchAll(/^ {2}curl -i (\S+)((?: -H '[^']+')*)$/gm);
    const statuses = await Promise.all(
      Array.from(lines, async ([, url = '', headers = '']) => {
        const pairs = Array.from(headers.matchAll(/'([^:]+): ([^']+)'/g), ([, name = '', value = '']) => [
          name,
          value,
        ]);
        return statusOf(url, Object.fromEntries(pairs));
      }),
    );
    expect(statuses.slice(0, -1)).toEqual([401, 200, 401, 200]);
    // The last one is to the limited route, whose token bucket refills.
    expect([200, 429]).toContain(statuses.at(-1));
    expect((await fetch(printed(/curl (http:\S+\/metrics)/))).status).toBe(200);
  });

  test('keeps the secret in a file that only its owner can read, and prints it nowhere', () => {
    const file = printed(/APPROOV_BASE64_SECRET_FILE=(\S+)/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const secret = readFileSync(file, 'utf8');
    expect(Buffer.from(secret, 'base64')).toHaveLength(64);
    expect(output()).not.toContain(secret);
  });

  test('stops everything it started and deletes its files on Ctrl-C', async () => {
    const url = printed(/curl -i (\S+)\/orders$/m);
    const servicePid = Number(printed(/"pid":(\d+)/));
    expect(await statusOf(url)).toBe(401);
    expect(process.kill(servicePid, 0)).toBe(true);

    child.kill('SIGINT');
    expect(await ended).toBe(130);
    await eventually(() =>
      fetch(url).then(
        () => undefined,
        () => true,
      ),
    );
    await eventually(() => {
      try {
        process.kill(servicePid, 0);
        return undefined;
      } catch {
        return true;
      }
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});

test('the demo fails with one line when there is no Envoy', async () => {
  const { ended, output } = startDemo([], { ENVOY_BIN: '/nowhere/envoy' });
  expect(await ended).toBe(1);
  expect(output()).toBe('demo: ENVOY_BIN: /nowhere/envoy is not an executable file\n');
});
