/** Writes docs/licenses.md: the license of each package that the service contains, from the SBOM. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { productionSbom } from './sbom.mjs';

const PAGE = fileURLToPath(new URL('../docs/licenses.md', import.meta.url));

const INTRODUCTION = `# Licenses

The packages that an installation contains, and the license of each. \`node scripts/licenses.mjs\` writes this page. A
release has the same list as a CycloneDX SBOM, which \`node scripts/sbom.mjs\` prints. What the image adds from Debian is
listed in the SBOM of the image, and its licenses are in \`/usr/share/doc\`.

| package | versions | license |
| --- | --- | --- |
`;

/**
 * @typedef {object} Component
 * @property {string} name with its scope
 * @property {string} version
 * @property {string} license an SPDX identifier or expression
 */

/** @returns {readonly Component[]} by name, then version */
export function productionComponents() {
  return productionSbom()
    .components.map(({ purl, version, licenses = [] }) => ({
      name: decodeURIComponent(purl.replace(/^pkg:npm\/(.*)@.*$/, '$1')),
      version,
      license: licenses.map(({ license, expression }) => license?.id ?? expression).join(', '),
    }))
    .sort((one, other) => one.name.localeCompare(other.name) || one.version.localeCompare(other.version));
}

/** @param {readonly Component[]} components */
export function renderLicenses(components) {
  /** @type {Map<string, { versions: string[], license: string }>} */
  const packages = new Map();
  for (const { name, version, license } of components) {
    const listed = packages.get(name);
    if (listed === undefined) packages.set(name, { versions: [version], license });
    else if (!listed.versions.includes(version)) listed.versions.push(version);
  }
  const rows = [...packages].map(
    ([name, { versions, license }]) => `| \`${name}\` | ${versions.join(', ')} | ${license} |\n`,
  );
  return INTRODUCTION + rows.join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(PAGE, renderLicenses(productionComponents()));
