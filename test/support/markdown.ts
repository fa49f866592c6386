/** Reads the parts of a page of the documentation: sections, code blocks and table rows. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

export function readPage(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
}

/** The sections of a page, by the text of their `##` heading. */
export function sectionsOf(page: string): ReadonlyMap<string, string> {
  const sections = page.split(/^## /m).slice(1);
  return new Map(sections.map((section) => [section.slice(0, section.indexOf('\n')), section]));
}

/** Without the indentation of a block in a list. */
export function codeBlocksOf(markdown: string): readonly CodeBlock[] {
  return [...markdown.matchAll(/^( *)```(\w*)\n(.*?)^\1```$/gms)].map(
    ([, indent = '', language = '', text = '']) => ({
      language,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
}

/** The rows of the table with this first column, without its head. */
export function tableRows(markdown: string, firstColumn: string): readonly (readonly string[])[] {
  const [, rows = ''] =
    new RegExp(`^\\| ${firstColumn} \\|.*\\n\\| ---.*\\n((?:\\|.*\\n)*)`, 'm').exec(markdown) ?? [];
  return rows
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
