/** Tests how replicas reach a real Redis server: TLS, passwords, failover, and a server that cannot be used. */
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { redisProblem } from '../../src/replay/redis-connection.ts';
import { createCa, issueCertificate } from '../support/certificate.ts';
import { eventually } from '../support/cluster.ts';
import { freePort, runTool } from '../support/platform-tool.ts';
import { REDIS, type RunningRedis, startProxy, startRedis } from '../support/redis.ts';
import { createReplicas, replayOf } from '../support/replay-guards.ts';
import { OPENSSL, unmet } from '../support/requirement.ts';

const skipped = await unmet(
  [REDIS, OPENSSL],
  'that replicas reach a Redis server over TLS and with a password',
);

/** Never in what a replica reports. */
const PASSWORD = 'correct-horse-battery';

describe.skipIf(skipped !== '')(`a replica and its Redis server${skipped}`, () => {
  let replicas: ReturnType<typeof createReplicas>;
  let folder: string;
  let servers: RunningRedis[];
  const start = async (...options: readonly string[]): Promise<RunningRedis> => {
    const server = await startRedis(...options);
    servers.push(server);
    return server;
  };

  beforeEach(() => {
    replicas = createReplicas();
    folder = mkdtempSync(join(tmpdir(), 'replay-'));
    servers = [];
  });
  afterEach(async () => {
    replicas.close();
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true });
  });

  test('connect over TLS to a server whose certificate the CA signed, and to no other', async () => {
    const ca = createCa(folder, 'ca');
    const other = createCa(folder, 'other');
    const { certFile, keyFile } = issueCertificate(folder, 'server', ca);
    const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', ca.certFile];
    const { url } = await start(...files, '--tls-auth-clients', 'no');
    const trusting = await replicas.replica({ url, ca: ca.cert });
    replicas.later();
    expect(await trusting.check(replicas.newMark())).toBe('fresh');
    for (const settings of [{ url, ca: other.cert }, { url }]) {
      const wary = await replicas.replica(settings, false);
      expect(wary.state()).toMatch(/^disconnected \((SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)\)$/);
      expect(await wary.check(replicas.newMark())).toBe('failed');
    }
    const plain = await replicas.replica({ url: url.replace('rediss', 'redis') }, false);
    expect(plain.state()).toMatch(/^disconnected/);
  });

  test('give up on a server that accepts a connection and does not speak TLS', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    onTestFinished(() => void silent.close());
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const replica = await replicas.replica({ url: `rediss://127.0.0.1:${port}` }, false);
    expect(replica.states).toEqual(['no connection in 1500 ms']);
  });

  test('need the password of the server, and never show it', async () => {
    const { url } = await start('--requirepass', PASSWORD);
    const right = await replicas.replica({ url, password: PASSWORD });
    const wrong = await replicas.replica({ url, password: `${PASSWORD}!` }, false);
    const none = await replicas.replica({ url }, false);
    expect([right.states, wrong.states, none.states]).toEqual([['connected'], ['WRONGPASS'], ['NOAUTH']]);
  });

  test('need no more of the server than INFO and SET on their own keys', async () => {
    const rules = [`>${PASSWORD}`, 'on', '~approov:replay:*', '-@all', '+set', '+info'];
    const server = await start('--user', 'approov', ...rules);
    const { url } = server;
    const replica = await replicas.replica({ url, username: 'approov', password: PASSWORD });
    replicas.later();
    expect(await replica.check(replicas.newMark())).toBe('fresh');
    await server.command('ACL', 'SETUSER', 'approov', '-set');
    expect(await replica.check(replicas.newMark())).toBe('failed');
    expect(replica.failures).toEqual(['refused NOPERM']);
  });

  test('fail when the server is out of memory', async () => {
    const server = await start('--maxmemory-policy', 'noeviction');
    const replica = await replicas.replica({ url: server.url, onError: 'allow' });
    replicas.later();
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await replica.check(replicas.newMark())).toBe('fresh');
    expect(replica.failures).toEqual(['refused OOM']);
  });

  test('allow no replay after the server was flushed or has evicted keys', async () => {
    const server = await start('--maxmemory-policy', 'allkeys-random');
    const replica = await replicas.replica({ url: server.url });
    replicas.later();
    const other = await replicas.replica({ url: server.url });
    const flushed = replicas.newMark();
    expect(await replica.check(flushed)).toBe('fresh');
    await server.command('FLUSHALL');
    await probed();
    expect(await other.check(replayOf(flushed))).toBe('failed');

    replicas.later();
    const evicted = replicas.newMark();
    expect(await replica.check(evicted)).toBe('fresh');
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    await server.command('SET', 'filler', '1').catch(() => undefined);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await probed();
    expect(await other.check(replayOf(evicted))).toBe('failed');

    /** Resolves when each replica has probed the server. */
    async function probed(): Promise<void> {
      const calls = async (): Promise<number> =>
        Number(/cmdstat_set:calls=(\d+)/.exec(await server.command('INFO', 'commandstats'))?.[1]);
      const before = await calls();
      await eventually('two probes of each', async () => ((await calls()) >= before + 6 ? true : undefined));
    }
  });

  test('allow no replay after a failover to a copy that lacks the last signatures', async () => {
    const [primary, copy] = [await start(), await start()];
    const proxy = await startProxy(primary.port);
    onTestFinished(() => proxy.close());
    const one = await replicas.replica({ url: proxy.url });
    const other = await replicas.replica({ url: proxy.url });
    await copy.command('REPLICAOF', '127.0.0.1', String(primary.port));
    await eventually('a copy of the keys', async () =>
      (await copy.command('KEYS', '*')).includes('approov:replay:since:') ? true : undefined,
    );
    replicas.later();
    const early = replicas.newMark();
    expect(await one.check(early)).toBe('fresh');
    await eventually('a copy of the first signature', async () =>
      (await copy.command('EXISTS', `approov:replay:${early.key}`)).trim() === '1' ? true : undefined,
    );
    await copy.command('REPLICAOF', 'NO', 'ONE');
    const mark = replicas.newMark();
    expect(await one.check(mark)).toBe('fresh');
    proxy.failOverTo(copy.port);
    await other.connected();
    await eventually('the end of the old connection', async () =>
      other.states.length >= 3 ? true : undefined,
    );
    expect(await other.check(replayOf(mark))).toBe('failed');
    expect(await other.check(replayOf(early))).toBe('replayed');
    const late = await replicas.replica({ url: proxy.url });
    expect(await late.check(replayOf(mark, 'late'))).toBe('replayed');
  });

  test('leave a server that has become a read-only copy, and use it when it is a primary again', async () => {
    const server = await start();
    const replica = await replicas.replica({ url: server.url });
    replicas.later();
    await server.command('REPLICAOF', '127.0.0.1', '1');
    await eventually('the read-only server', async () =>
      replica.state() === 'disconnected (READONLY)' ? true : undefined,
    );
    await server.command('REPLICAOF', 'NO', 'ONE');
    await replica.connected();
    expect(await replica.check(replicas.newMark())).toBe('fresh');
  });

  test('connect once a server is there that was not there at first', async () => {
    const absent = `redis://localhost:${await freePort()}`;
    const early = await replicas.replica({ url: absent, onError: 'allow' }, false);
    expect(early.state()).toBe('disconnected (ECONNREFUSED)');
    const mark = replicas.newMark();
    // Replays at the same replica are refused even now.
    expect([await early.check(mark), await early.check(replayOf(mark))]).toEqual(['fresh', 'replayed']);
    expect(early.failures).toEqual(['disconnected']);
    const server = await start();
    await server.kill();
    const patient = await replicas.replica({ url: server.url }, false);
    await server.start();
    await patient.connected();
    expect(patient.states).toEqual(['ECONNREFUSED', 'connected']);
  });

  test('lose no check when other settings of the store are loaded', async () => {
    const { url } = await start('--requirepass', PASSWORD);
    const replica = await replicas.replica({ url, password: PASSWORD });
    replicas.later();
    const settings = { url, password: PASSWORD, timeoutMs: 10_000, onError: 'deny' } as const;
    let isOver = false;
    const outcomes = new Set<string>();
    const load = Array.from({ length: 20 }, async () => {
      while (!isOver) outcomes.add(await replica.check(replicas.newMark()));
    });
    await replica.useStore(settings);
    outcomes.add(await replica.check(replicas.newMark()));
    isOver = true;
    await Promise.all(load);
    expect(outcomes).toEqual(new Set(['fresh']));
    await replica.useStore(undefined);
    expect([replica.state(), await replica.check(replicas.newMark())]).toEqual([undefined, 'failed']);
  });
});

describe('an installation', () => {
  test('has the package redis, which is optional', async () => {
    expect(await redisProblem()).toBeUndefined();
  });

  test('without the package redis says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'without-redis-'));
    cpSync(fileURLToPath(new URL('../../dist/replay', import.meta.url)), folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    const file = JSON.stringify(pathToFileURL(join(folder, 'redis-connection.js')).href);
    const script = `const { redisProblem } = await import(${file}); console.log(await redisProblem());`;
    expect(await runTool('node', ['--input-type=module', '--eval', script])).toEqual({
      code: 0,
      output: 'the package redis is not installed: npm install redis@6\n',
    });
    rmSync(folder, { recursive: true });
  });
});
