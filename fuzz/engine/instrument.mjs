/** A module loader that counts branches and functions of our compiled modules. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
// @ts-expect-error: its types are in a package of their own, for four names.
import { createInstrumenter } from 'istanbul-lib-instrument';

const ROOT = new URL('../../', import.meta.url).href;
const OURS = /^(?:dist|packages\/unary-grpc\/dist)\/.*\.js$/;

/** Targets import the sources, for their types; what runs is the build. @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, nextResolve) {
  const { href } = new URL(specifier, context.parentURL ?? ROOT);
  if (!href.startsWith(ROOT) || !href.endsWith('.ts')) return nextResolve(specifier, context);
  return { url: href.replace(/\/src\/(.*)\.ts$/, '/dist/$1.js'), shortCircuit: true };
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  const file = url.slice(ROOT.length);
  if (!url.startsWith(ROOT) || !OURS.test(file)) return nextLoad(url, context);
  const source = instrument(readFileSync(fileURLToPath(url), 'utf8'), file);
  return { format: 'module', source, shortCircuit: true };
}

/**
 * Istanbul counts in objects, of which reading all after each input would take most of the time. One array is fast.
 * @param {string} code @param {string} file
 */
function instrument(code, file) {
  const instrumenter = createInstrumenter({ esModules: true, compact: false });
  const counted = instrumenter.instrumentSync(code, file);
  const { branchMap, fnMap } = instrumenter.lastFileCoverage();
  /** @type {number[]} */
  const firstOf = [];
  /** @type {string[]} */
  const branches = [];
  for (const [id, { locations, type, loc }] of Object.entries(branchMap)) {
    firstOf[Number(id)] = branches.length;
    for (const { start } of locations) branches.push(`${start.line ?? loc.start.line} ${type}`);
  }
  const body = counted
    .replace(/^function cov_\w+\(\) \{\n.*?^\}\n/ms, '')
    .replace(/^cov_\w+\(\);$/m, '')
    .replace(/cov_\w+\(\)\.s\[\d+\]\+\+/g, '0')
    .replace(
      /cov_\w+\(\)\.b\[(\d+)\]\[(\d+)\]\+\+/g,
      (/** @type {string} */ _, /** @type {number} */ id, /** @type {number} */ side) =>
        `__hits[__base + ${(firstOf[id] ?? 0) + Number(side)}]++`,
    )
    .replace(
      /cov_\w+\(\)\.f\[(\d+)\]\+\+/g,
      (/** @type {string} */ _, /** @type {number} */ id) =>
        `__hits[__base + ${branches.length + Number(id)}]++`,
    );
  if (body.includes('cov_')) throw new Error(`${file} has a counter of an unknown form`);
  const { length: functions } = Object.keys(fnMap);
  const head = `const __hits = globalThis.__fuzz.hits, __base = globalThis.__fuzz.register(${JSON.stringify(file)}, ${JSON.stringify(branches)}, ${functions});`;
  return `${head}\n${body}`;
}
