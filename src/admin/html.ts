/** Writes HTML: everything that is put into it is escaped, and a page loads and runs nothing. */
import { createHash } from 'node:crypto';
import { STYLE } from './style.ts';

/** A piece of markup, which {@link html} alone makes. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Content = Html | string | number | undefined | readonly Content[];

/** A tagged template. Lists are joined, and `undefined` is nothing. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(String.raw({ raw: strings }, ...contents.map(write)));
}

function write(content: Content): string {
  if (content === undefined) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'number') return String(content);
  return typeof content === 'string' ? escapeText(content) : content.map(write).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A number and its unit stay on one line. */
const BEFORE_UNIT = /(?<=\d) (?=(%|h|min|s)(?!\w))/g;

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '').replace(BEFORE_UNIT, '\u00a0');
}

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** The style sheet of the page is the only thing that a browser may apply. */
export const HTML_HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

interface Document {
  readonly title: string;
  readonly body: Html;
  /** `undefined`: the page does not refresh itself. */
  readonly refreshSeconds?: number | undefined;
}

export function renderDocument({ title, body, refreshSeconds }: Document): string {
  const refresh =
    refreshSeconds === undefined
      ? undefined
      : html`<meta http-equiv="refresh" content="${refreshSeconds}">\n`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh}<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}
