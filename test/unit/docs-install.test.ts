/** Tests that the pages that install the service show what each command prints, and end by removing what they created. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readPage, sectionsOf } from '../support/markdown.ts';

const PAGES = [
  'deploy/helm/approov-ext-authz/README.md',
  ...readdirSync(fileURLToPath(new URL('../../docs/install', import.meta.url))).map(
    (name) => `docs/install/${name}`,
  ),
];

/** What stands for an output: a block with it, or a sentence where it is nothing or depends on a version. */
const OUTPUT = /^ *```text$|\bprints? nothing\b|\bYou see\b/m;

/** Shell blocks, each with the text from its end up to the next shell block or heading. */
function shellBlocks(page: string): readonly { readonly code: string; readonly after: string }[] {
  return page
    .split(/^ *```sh$/m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('```');
      const [after = ''] = part.slice(end + 3).split(/^#+ /m);
      return { code: part.slice(0, end), after };
    });
}

describe.each(PAGES)('%s', (path) => {
  const page = readPage(path);

  test('says after each shell block what it prints', () => {
    const blocks = shellBlocks(page);
    expect(blocks.length).toBeGreaterThan(1);
    expect(blocks.filter(({ code, after }) => !OUTPUT.test(`${code}\n${after}`))).toEqual([]);
  });

  test('has a section that removes what it created', () => {
    const cleanUp = sectionsOf(page).get('Clean up');
    expect(cleanUp).toMatch(/```sh\n(?:.*\n)*?.*(delete|uninstall|rm)\b/);
  });
});
