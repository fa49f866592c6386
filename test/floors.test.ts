/** Owns the proof that the house stands: who may import what, on which floor, and why. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * A file or a folder. It may import what its row names: packages, rooms on lower floors and, being a file, others
 * in its folder on its own floor.
 */
interface Room {
  readonly floor: number;
  readonly mayImport: readonly string[];
  readonly because: string;
}

const ROOMS: Readonly<Record<string, Room>> = {
  'approov/': room(
    0,
    'node:buffer node:crypto node:util jose',
    'what a token is follows from its bytes and from cryptography alone',
  ),
  'authz/': room(1, 'approov/', 'a decision follows from request, policy and token alone'),
  'config/': room(2, 'approov/ authz/ yaml zod', 'it makes keys and policies of a text, and opens no file'),
  'envoy/': room(2, 'authz/', 'it writes a decision in Envoy’s words, and knows no library that sends it'),
  'envoy/reflection.ts': room(
    2,
    '@grpc/proto-loader protobufjs/ext/descriptor/index.js',
    'it describes the service to those who ask, and takes no call',
  ),
  'files.ts': room(
    2,
    'approov/ node:fs/promises node:path',
    'it reads text, whatever it says, and shows no secret',
  ),
  'printable.ts': room(2, '', 'it makes text safe to print, whoever prints it'),
  'complete-files.ts': room(2, '', 'it compares what was read, whatever it is'),
  'https-text.ts': room(3, 'config/ undici', 'it fetches a text, whatever it says'),
  'jwks-url.ts': room(
    3,
    'https-text.ts',
    'it fetches a text again and again, and leaves to others what that is made into',
  ),
  'tls-files.ts': room(2, 'node:crypto node:tls', 'it checks a certificate and its key'),
  'listener.ts': room(2, 'node:fs node:net', 'it binds addresses'),
  'connections.ts': room(2, 'node:net', 'it counts connections and their bytes, whatever these say'),
  'acceptor.ts': room(
    2,
    'connections.ts listener.ts tls-files.ts node:net node:tls',
    'it lets connections in, whatever is said on them',
  ),
  'log.ts': room(
    2,
    'approov/ authz/ printable.ts node:crypto node:timers/promises pino',
    'it writes decisions down, and a token only as its fingerprint',
  ),
  'metrics.ts': room(
    2,
    'approov/ authz/ series.ts prom-client',
    'it counts decisions by the closed sets of the floors below',
  ),
  'primary-metrics.ts': room(2, 'prom-client', 'it counts what becomes of workers, and no decision'),
  'series.ts': room(2, 'prom-client', 'it keeps numbers, whatever they count'),
  'token-opener.ts': room(2, 'approov/', 'it opens tokens, whatever a check makes of them'),
  'lookout.ts': room(2, '', 'it looks again and again, whatever at'),
  'version.ts': room(2, 'node:fs', 'it reads the version from package.json'),
  'listen-error.ts': room(3, 'config/', 'it says of an address of the configuration why it cannot be bound'),
  'key-files.ts': room(
    3,
    'approov/ authz/ config/ node:crypto',
    'it makes keys of a text, as the configuration describes them',
  ),
  'file-parts.ts': room(
    3,
    'approov/ config/ complete-files.ts files.ts key-files.ts tls-files.ts node:crypto',
    'it makes of each file what the configuration says that it is',
  ),
  'configuration.ts': room(
    3,
    'approov/ config/ complete-files.ts file-parts.ts files.ts key-files.ts tls-files.ts',
    'it keeps the configuration and its files in their last good state',
  ),
  'key-store.ts': room(
    3,
    'approov/ config/ configuration.ts https-text.ts jwks-url.ts key-files.ts',
    'it joins the keys of files with those of URLs',
  ),
  'checker.ts': room(
    3,
    'approov/ authz/ envoy/ log.ts metrics.ts token-opener.ts node:perf_hooks',
    'it takes a check from message to answer, and has it counted and logged',
  ),
  'envoy/call-interceptor.ts': room(
    2,
    'envoy/ @grpc/grpc-js',
    'it sees every call as the gRPC library does, and answers none',
  ),
  'envoy/authorization-server.ts': room(
    3,
    'acceptor.ts envoy/ envoy/call-interceptor.ts envoy/reflection.ts listener.ts tls-files.ts node:url @grpc/grpc-js @grpc/proto-loader @grpc/reflection grpc-health-check',
    'it serves by the gRPC library, which no other part of the house knows',
  ),
  'admin-server.ts': room(
    3,
    'connections.ts listener.ts node:http node:net',
    'it shows pages that others write',
  ),
  'instance.ts': room(
    4,
    'config/ configuration.ts file-parts.ts key-store.ts listen-error.ts lookout.ts checker.ts envoy/authorization-server.ts admin-server.ts log.ts metrics.ts tls-files.ts node:perf_hooks node:timers/promises node:util',
    'it builds the parts of one process in order',
  ),
  'worker-process.ts': room(
    4,
    'config/ admin-server.ts prom-client node:cluster',
    'it alone knows how a worker is started and spoken to',
  ),
  'workers.ts': room(
    4,
    'config/ worker-process.ts admin-server.ts log.ts metrics.ts primary-metrics.ts prom-client',
    'it watches over processes that share the work',
  ),
  'service.ts': room(
    4,
    'config/ configuration.ts instance.ts worker-process.ts workers.ts listen-error.ts lookout.ts admin-server.ts log.ts metrics.ts primary-metrics.ts version.ts prom-client node:os node:perf_hooks',
    'it starts and stops one process or several',
  ),
  'commands/': room(
    5,
    'approov/ authz/ config/ configuration.ts files.ts key-store.ts printable.ts service.ts workers.ts node:crypto node:http2 node:net node:tls node:util',
    'each command is a way into the house, and none of them is the process',
  ),
  'cli.ts': room(
    6,
    'commands/ config/ listen-error.ts printable.ts version.ts node:stream/consumers node:timers/promises',
    'it is the process: arguments, environment, signals, exit code',
  ),
};

function room(floor: number, mayImport: string, because: string): Room {
  return { floor, mayImport: mayImport.split(' ').filter((name) => name !== ''), because };
}

/** What a source text must not hold, where, and why. */
const FORBIDDEN = [
  {
    text: /\bprocess\.(env|exit)\b/,
    where: (file: string) => file !== 'cli.ts',
    because: 'only cli.ts is the process',
  },
  {
    text: /\bDate\b|\bperformance\.|\bset(Timeout|Interval|Immediate)\b|\bprocess\.|\bconsole\.|Math\.random|\bfetch\(/,
    where: (file: string) => floorOf(file) < 2,
    because: 'floors 0 and 1 are pure: no clock, process, log or network',
  },
  { text: /envoy/i, where: (file: string) => floorOf(file) === 0, because: 'a token knows nothing of Envoy' },
  {
    text: /\bimport\((?!')|\brequire\(/,
    where: () => true,
    because: 'an import that is computed escapes this table',
  },
];

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const SOURCES: ReadonlyMap<string, string> = new Map(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readFileSync(SRC + file, 'utf8')]),
);

/** The most exact row that a file falls under. */
function roomOf(file: string): string | undefined {
  return [file, `${file.split('/', 1)}/`].find((room) => Object.hasOwn(ROOMS, room));
}

function floorOf(file: string): number {
  return ROOMS[roomOf(file) ?? '']?.floor ?? Number.NaN;
}

const IMPORT = /^(?:import|export)\b(?:[^;'=(]*\bfrom)?\s*'([^']+)';/gm;
const LAZY_IMPORT = /\bimport\('([^']+)'\)/g;

/** What a file imports, at once or when it comes to it: files by their path below src/, packages by their name. */
function importsOf(file: string, text: string): string[] {
  return targetsOf(file, [...text.matchAll(IMPORT), ...text.matchAll(LAZY_IMPORT)]);
}

function targetsOf(file: string, matches: readonly RegExpExecArray[]): string[] {
  return matches.map(([, from = '']) =>
    from.startsWith('.') ? new URL(from, `file:///${file}`).pathname.slice(1) : from,
  );
}

/** Every file and package that is loaded with a file before it runs. */
function loadedWith(file: string, loaded = new Set<string>()): ReadonlySet<string> {
  loaded.add(file);
  const imports = [...(SOURCES.get(file) ?? '').matchAll(IMPORT)];
  for (const target of targetsOf(
    file,
    imports.filter(([statement]) => !/^(import|export) type\b/.test(statement)),
  )) {
    if (!loaded.has(target)) loadedWith(target, loaded);
  }
  return loaded;
}

/** Each import that leaves its room, as rows name it. */
function crossings(sources: ReadonlyMap<string, string>): { file: string; room: string; to: string }[] {
  return [...sources].flatMap(([file, text]) => {
    const room = roomOf(file) ?? '(no row)';
    return importsOf(file, text)
      .map((target) => ({ file, room, to: target.endsWith('.ts') ? (roomOf(target) ?? target) : target }))
      .filter(({ to }) => to !== room);
  });
}

function complaints(sources: ReadonlyMap<string, string>): string[] {
  const crossed = crossings(sources);
  const found: string[] = [];
  for (const file of sources.keys()) if (roomOf(file) === undefined) found.push(`${file} has no row`);
  for (const { file, room, to } of crossed) {
    if (!ROOMS[room]?.mayImport.includes(to))
      found.push(`${file} may not import ${to}: ${ROOMS[room]?.because}`);
  }
  for (const [room, { floor, mayImport }] of Object.entries(ROOMS)) {
    for (const to of mayImport) {
      if (!isBelow(to, room, floor)) found.push(`row ${room} lets it import ${to}, which is no lower floor`);
      if (!crossed.some((each) => each.room === room && each.to === to))
        found.push(`row ${room}: ${to} is stale`);
    }
    if (![...sources.keys()].some((file) => roomOf(file) === room)) found.push(`row ${room} is stale`);
  }
  for (const { text, where, because } of FORBIDDEN) {
    for (const [file, source] of sources)
      if (where(file) && text.test(source)) found.push(`${file}: ${because}`);
  }
  return [...found, ...cycles(sources)];
}

/** Whether a row may name another: one on a lower floor, or its neighbour. */
function isBelow(to: string, room: string, floor: number): boolean {
  const target = ROOMS[to]?.floor ?? -1;
  const isNeighbour = folderOf(to) === folderOf(room);
  return target < floor || (target === floor && isNeighbour);
}

function folderOf(room: string): string {
  return room.slice(0, room.lastIndexOf('/') + 1);
}

function cycles(sources: ReadonlyMap<string, string>): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [`cycle: ${[...path.slice(path.indexOf(file)), file].join(' > ')}`];
    if (done.has(file)) return [];
    const found = importsOf(file, sources.get(file) ?? '')
      .filter((target) => sources.has(target))
      .flatMap((target) => visit(target, [...path, file]));
    done.add(file);
    return found;
  };
  return [...sources.keys()].flatMap((file) => visit(file, []));
}

describe('the floors', () => {
  it('are kept by every file, and every row is used', () => {
    expect(complaints(SOURCES)).toEqual([]);
  });

  it.each([
    ['authz/host.ts', "import { a } from '../log.ts';", 'may not import log.ts: a decision follows'],
    ['authz/host.ts', "export * from '../log.ts';", 'may not import log.ts'],
    ['log.ts', "import type { A } from './metrics.ts';", 'may not import metrics.ts'],
    ['checker.ts', "import {\n  a,\n} from '@grpc/grpc-js';", 'may not import @grpc/grpc-js'],
    ['approov/base64.ts', "import 'node:fs';", 'may not import node:fs'],
    ['approov/base64.ts', "import './secret.ts';", '> approov/secret.ts'],
    ['log.ts', "const a = process.env['A'];", 'only cli.ts is the process'],
    ['service.ts', 'process.exit(1);', 'only cli.ts is the process'],
    ['authz/decide.ts', 'Date.now();', 'floors 0 and 1 are pure'],
    ['approov/token.ts', '// as Envoy says', 'knows nothing of Envoy'],
    ['log.ts', "await import('x');", 'may not import x'],
    ['log.ts', 'await import(`./x.ts`);', 'escapes this table'],
    ['new.ts', '', 'has no row'],
  ])('would not be kept by %s with %j', (file, line, complaint) => {
    const changed = new Map([...SOURCES, [file, `${line}\n${SOURCES.get(file) ?? ''}`]]);
    expect(complaints(changed)).toContainEqual(expect.stringMatching(`${file}.*${complaint}`));
  });

  it('would not be kept by a row or an allowance that nobody needs', () => {
    expect(complaints(new Map([...SOURCES].filter(([file]) => file !== 'log.ts')))).toContain(
      'row log.ts is stale',
    );
    const idle = new Map([...SOURCES, ['version.ts', '']]);
    expect(complaints(idle)).toContain('row version.ts: node:fs is stale');
  });

  it('leave a probe, which runs every few seconds, little to load', () => {
    const loaded = new Set([...loadedWith('cli.ts'), ...loadedWith('commands/healthcheck.ts')]);
    const packages = [...loaded].filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'));
    expect(packages.sort()).toEqual(['yaml', 'zod']);
  });
});
