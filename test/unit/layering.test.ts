/** Tests that modules import only their own layer and the lower layers that their row names. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** A layer is a folder of `src/` or a file at its root. `mayImport` lists lower layers and packages. */
interface Layer {
  readonly mayImport: readonly string[];
  readonly because: string;
}

/** From the top of the stack to the bottom. */
const LAYERS: ReadonlyMap<string, Layer> = new Map([
  layer(
    'cli.ts',
    'commands/ telemetry/ node:timers/promises',
    'it is the process: environment, streams, signals, exit',
  ),
  layer(
    'commands/',
    'server/ rollout/ telemetry/ sources/ config/ authz/ approov/ version.ts zod node:crypto node:events node:fs/promises node:http node:http2 node:net node:tls node:util',
    'each command uses what it needs, and none of them is the process',
  ),
  layer(
    'server/',
    'checker.ts grpc/ admin/ rollout/ telemetry/ sources/ replay/ net/ config/ version.ts prom-client node:cluster node:crypto node:os node:perf_hooks node:timers/promises node:util',
    'it assembles one process, or a primary with workers',
  ),
  layer(
    'checker.ts',
    'telemetry/ envoy/ authz/ approov/ node:perf_hooks',
    'it takes a check from message to answer and has it counted and logged',
  ),
  layer(
    'grpc/',
    'net/ config/ @grpc/grpc-js @grpc/proto-loader @grpc/reflection grpc-health-check protobufjs/ext/descriptor/index.js unary-grpc node:http2 node:net node:url',
    'it alone knows the gRPC libraries, and no message',
  ),
  layer(
    'admin/',
    'rollout/ net/ config/ approov/ node:crypto node:http node:net',
    'it serves pages, and renders the report of the rollout',
  ),
  layer(
    'rollout/',
    'telemetry/ config/ authz/ approov/',
    'it counts and assesses decisions; clock, key and configuration are given to it',
  ),
  layer(
    'telemetry/',
    'replay/ config/ authz/ approov/ pino pino-pretty prom-client node:crypto node:timers/promises',
    'it counts and logs decisions, and shows a token as a fingerprint only',
  ),
  layer(
    'sources/',
    'net/ replay/ config/ authz/ approov/ undici node:crypto node:fs/promises node:path node:util',
    'it loads what the configuration names and keeps the last good state',
  ),
  layer(
    'replay/',
    'authz/ redis node:util',
    'it remembers signatures, here and in a store, and knows neither configuration nor log',
  ),
  layer(
    'net/',
    'config/ node:crypto node:fs node:net node:tls',
    'it accepts connections, whatever library serves them',
  ),
  layer('config/', 'authz/ approov/ yaml zod', 'it turns text into a configuration and opens no file'),
  layer('envoy/', 'authz/', 'it translates messages and knows no library that carries them'),
  layer('authz/', 'approov/', 'a decision follows from request, policies and token alone'),
  layer(
    'approov/',
    'jose structured-headers node:buffer node:crypto node:util',
    'a token is verified by its bytes and cryptography alone',
  ),
  layer('version.ts', 'node:fs', 'it reads the version from package.json'),
]);

function layer(name: string, mayImport: string, because: string): [string, Layer] {
  return [name, { mayImport: mayImport.split(' '), because }];
}

const PURE = ['approov/', 'authz/', 'envoy/'];

/** What a source must not contain, in which files, and why. */
const FORBIDDEN = [
  {
    text: /\bprocess\.(env|exit)\b/,
    where: (file: string) => file !== 'cli.ts',
    because: 'only cli.ts is the process',
  },
  {
    text: /\bDate\b|\bperformance\.|\bset(Timeout|Interval|Immediate)\b|\bprocess\.|\bconsole\.|Math\.random|\bfetch\(/,
    where: (file: string) => PURE.includes(layerOf(file)),
    because: 'pure layers have no clock, process, log or network',
  },
  {
    text: /envoy/i,
    where: (file: string) => layerOf(file) === 'approov/',
    because: 'a token knows nothing of Envoy',
  },
  {
    text: /'node:cluster'/,
    where: (file: string) => !CLUSTER_FILE.test(file),
    because: 'only one file knows node:cluster',
  },
  {
    text: /\bimport\((?!')|\brequire\(/,
    where: () => true,
    because: 'a computed import escapes this table',
  },
];

const CLUSTER_FILE = /^server\/worker-channel\.ts$/;

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));
const SOURCES: ReadonlyMap<string, string> = new Map(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readFileSync(SRC + file, 'utf8')]),
);

function layerOf(path: string): string {
  return path.includes('/') && path.endsWith('.ts') ? `${path.split('/', 1)[0]}/` : path;
}

const IMPORT = /^(?:import|export)\b(?:[^;'=(]*\bfrom)?\s*'([^']+)';/gm;
const LAZY_IMPORT = /\bimport\('([^']+)'\)/g;

/** Files by their path below `src/`, packages by name; lazy imports too. */
function importsOf(file: string, text: string): string[] {
  return targetsOf(file, [...text.matchAll(IMPORT), ...text.matchAll(LAZY_IMPORT)]);
}

function targetsOf(file: string, matches: readonly RegExpExecArray[]): string[] {
  return matches.map(([, from = '']) =>
    from.startsWith('.') ? new URL(from, `file:///${file}`).pathname.slice(1) : from,
  );
}

/** Every file and package that is loaded together with a file. */
function loadedWith(file: string, loaded = new Set<string>()): ReadonlySet<string> {
  loaded.add(file);
  const imports = [...(SOURCES.get(file) ?? '').matchAll(IMPORT)].filter(
    ([statement]) => !/^(import|export) type\b/.test(statement),
  );
  for (const target of targetsOf(file, imports)) if (!loaded.has(target)) loadedWith(target, loaded);
  return loaded;
}

function violations(sources: ReadonlyMap<string, string>): string[] {
  const imports = [...sources].flatMap(([file, text]) =>
    importsOf(file, text)
      .map((target) => ({ file, from: layerOf(file), to: layerOf(target) }))
      .filter(({ from, to }) => to !== from),
  );
  return [
    ...[...sources.keys()].filter((file) => !LAYERS.has(layerOf(file))).map((file) => `${file} has no row`),
    ...imports
      .filter(({ from, to }) => !LAYERS.get(from)?.mayImport.includes(to))
      .map(({ file, from, to }) => `${file} may not import ${to}: ${LAYERS.get(from)?.because}`),
    ...[...LAYERS].flatMap(([name, { mayImport }]) => [
      ...mayImport.filter((to) => !isLower(to, name)).map((to) => `row ${name}: ${to} is not a lower layer`),
      ...mayImport
        .filter((to) => !imports.some((each) => each.from === name && each.to === to))
        .map((to) => `row ${name}: ${to} is stale`),
      ...([...sources.keys()].some((file) => layerOf(file) === name) ? [] : [`row ${name} is stale`]),
    ]),
    ...FORBIDDEN.flatMap(({ text, where, because }) =>
      [...sources]
        .filter(([file, source]) => where(file) && text.test(source))
        .map(([file]) => `${file}: ${because}`),
    ),
    ...cycles(sources),
  ];
}

/** Packages are below every layer. */
function isLower(to: string, name: string): boolean {
  const order = [...LAYERS.keys()];
  return !LAYERS.has(to) || order.indexOf(to) > order.indexOf(name);
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

describe('the layers of src/', () => {
  it('are kept by every file, and every row is needed', () => {
    expect(violations(SOURCES)).toEqual([]);
  });

  it('leave three files at the root of src/', () => {
    const atRoot = [...SOURCES.keys()].filter((file) => !file.includes('/'));
    expect(atRoot.sort()).toEqual(['checker.ts', 'cli.ts', 'version.ts']);
  });

  it.each([
    [
      'authz/host.ts',
      "import { a } from '../telemetry/log.ts';",
      'may not import telemetry/: a decision follows',
    ],
    ['authz/host.ts', "export * from '../telemetry/log.ts';", 'may not import telemetry/'],
    ['telemetry/log.ts', "import type { A } from '../net/listener.ts';", 'may not import net/'],
    ['checker.ts', "import {\n  a,\n} from '@grpc/grpc-js';", 'may not import @grpc/grpc-js'],
    ['approov/base64.ts', "import 'node:fs';", 'may not import node:fs'],
    ['approov/base64.ts', "import './secret.ts';", '> approov/secret.ts'],
    ['telemetry/log.ts', "const a = process.env['A'];", 'only cli.ts is the process'],
    ['server/service.ts', 'process.exit(1);', 'only cli.ts is the process'],
    ['server/service.ts', "import cluster from 'node:cluster';", 'only one file knows node:cluster'],
    ['authz/decide.ts', 'Date.now();', 'pure layers have no clock'],
    ['approov/token.ts', '// as Envoy says', 'knows nothing of Envoy'],
    ['telemetry/log.ts', "await import('x');", 'may not import x'],
    ['telemetry/log.ts', 'await import(`./x.ts`);', 'escapes this table'],
    ['new.ts', '', 'has no row'],
  ])('would be broken by %s with %j', (file, line, violation) => {
    const changed = new Map([...SOURCES, [file, `${line}\n${SOURCES.get(file) ?? ''}`]]);
    expect(violations(changed)).toContainEqual(expect.stringMatching(`${file}.*${violation}`));
  });

  it('would be broken by a row or an import that nothing needs', () => {
    const without = new Map([...SOURCES].filter(([file]) => file !== 'version.ts'));
    expect(violations(without)).toContain('row version.ts is stale');
    expect(violations(new Map([...SOURCES, ['version.ts', '']]))).toContain(
      'row version.ts: node:fs is stale',
    );
  });

  it('leave the healthcheck command, which runs every few seconds, little to load', () => {
    const loaded = new Set([...loadedWith('cli.ts'), ...loadedWith('commands/healthcheck.ts')]);
    const packages = [...loaded].filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'));
    expect(packages.sort()).toEqual(['yaml', 'zod']);
  });
});
