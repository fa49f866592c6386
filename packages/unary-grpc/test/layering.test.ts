/** Tests what the modules of the package import. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const SOURCES = new Map(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readFileSync(SRC + file, 'utf8')]),
);

/** From the bottom up. A module imports from its own folder and from what is before it. */
const ORDER = [
  'limits.ts',
  'hpack',
  'http2',
  'grpc',
  'options.ts',
  'server-socket.ts',
  'server.ts',
  'index.ts',
];

/** Sockets, timers and the clock are above the protocols. */
const WITH_SOCKETS = ['server-socket.ts', 'server.ts'];

function importsOf(file: string): string[] {
  const text = SOURCES.get(file) ?? '';
  return [...text.matchAll(/^(?:import|export)\b[^;'=(]*?'([^']+)';/gm)].map(([, from = '']) =>
    from.startsWith('.') ? new URL(from, `file:///${file}`).pathname.slice(1) : from,
  );
}

const placeOf = (file: string): number => ORDER.indexOf(file.split('/', 1)[0] ?? '');

describe.each([...SOURCES.keys()])('%s', (file) => {
  test('imports only what is below it, and node:net only where there are sockets', () => {
    const allowed = WITH_SOCKETS.includes(file) ? ['node:net'] : [];
    const outside = importsOf(file).filter((target) => !SOURCES.has(target));
    expect(outside.filter((target) => !allowed.includes(target))).toEqual([]);
    const above = importsOf(file).filter((target) => SOURCES.has(target) && placeOf(target) > placeOf(file));
    expect(above).toEqual([]);
    expect(placeOf(file)).toBeGreaterThanOrEqual(0);
  });

  test('there is neither a clock nor a timer below the sockets', () => {
    const uses = /\bDate\b|\bperformance\b|\bset(Timeout|Interval|Immediate)\b|\bprocess\.|Math\.random/.test(
      SOURCES.get(file) ?? '',
    );
    expect(uses && !WITH_SOCKETS.includes(file)).toBe(false);
  });
});

test('there are no import cycles', () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' > '));
    if (done.has(file) || path.includes(file)) return;
    for (const target of importsOf(file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of SOURCES.keys()) visit(file, []);
  expect(cycles).toEqual([]);
});
