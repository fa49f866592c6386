/** Prints a CycloneDX SBOM of the packages that an installation contains. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEVELOPMENT = 'cdx:npm:package:development';

/**
 * @typedef {object} Component https://cyclonedx.org/docs/1.5/json/#components
 * @property {string} bom-ref
 * @property {string} purl
 * @property {string} version
 * @property {readonly { license?: { id?: string }, expression?: string }[]} [licenses]
 * @property {readonly { name: string, value: string }[]} properties
 *
 * @typedef {object} Sbom
 * @property {{ readonly component: Readonly<Record<string, unknown>> }} metadata
 * @property {readonly Component[]} components
 * @property {readonly { ref: string, dependsOn: readonly string[] }[]} dependencies
 */

/**
 * From the lock file alone. `npm sbom --omit dev` would not do: npm 11.19 also omits packages that development
 * dependencies use too.
 * @returns {Sbom}
 */
export function productionSbom() {
  const output = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const all = /** @type {Sbom} */ (JSON.parse(output));
  const isDevelopment = (/** @type {Component} */ { properties }) =>
    properties.some(({ name, value }) => name === DEVELOPMENT && value === 'true');
  const left = new Set(all.components.filter(isDevelopment).map((component) => component['bom-ref']));
  const isKept = (/** @type {string} */ ref) => !left.has(ref);
  return {
    ...all,
    metadata: { ...all.metadata, component: { ...all.metadata.component, ...described() } },
    components: all.components.filter((component) => isKept(component['bom-ref'])),
    dependencies: all.dependencies
      .filter(({ ref }) => isKept(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) })),
  };
}

/** What npm does not know: it names the component by the folder, and takes every package for a library. */
function described() {
  const { name } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return { name, type: 'application' };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(`${JSON.stringify(productionSbom(), null, 2)}\n`);
