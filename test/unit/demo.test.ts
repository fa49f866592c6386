/** Tests what the demo prints, and that its recording in docs/demo.svg is what it would print now. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  curlLines,
  explanationLines,
  logLines,
  paintAnsi,
  paintNothing,
  resultLines,
  titleLine,
} from '../../scripts/demo/screen.mjs';
import { CHAPTERS, editRow, FIRST_MODE, NEXT } from '../../scripts/demo/story.mjs';
import { terminalSvg } from '../../scripts/terminal-svg.mjs';

const PLACE = { port: 10000, folder: '.demo' };

/** The text of each line of an SVG, with one space where columns or words are apart. */
function textOf(svg: string): readonly string[] {
  return [...svg.matchAll(/^<text .*<\/text>$/gm)].map(([line]) =>
    line
      .replaceAll('</tspan>', ' ')
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll('&quot;', '"')
      .replaceAll('&gt;', '>')
      .replaceAll('&lt;', '<')
      .replaceAll('&amp;', '&')
      .trim(),
  );
}

const compact = (line: string): string => line.replaceAll(/\s+/g, ' ').trim();

/** Puts N for what differs between runs. */
const withoutCounts = (line: string): string => line.replaceAll(/\b[\d.]+(?= x | s$)/g, 'N');

/** What the demo prints from the first chapter to the last, with the expected answers. */
function chapterLines(): readonly string[] {
  let mode = FIRST_MODE;
  return CHAPTERS.flatMap((chapter) => {
    const edit = chapter.edit === undefined ? undefined : editRow(chapter.edit, mode);
    mode = chapter.edit ?? mode;
    return [
      titleLine(chapter, paintNothing),
      ...(edit ? resultLines(edit, { answer: '9 x 200 in 9.9 s', reason: '' }, paintNothing) : []),
      ...(edit ? [`${edit.how} in .demo/config.yaml, no restart`] : []),
      ...chapter.rows.flatMap((row) => {
        const answer = row.pattern === undefined ? row.expected : '9 x 200, 9 x 429';
        const lines = resultLines(row, { answer, reason: row.reason }, paintNothing);
        return [...lines, ...curlLines(row.request, PLACE)];
      }),
    ];
  });
}

describe('docs/demo.svg', () => {
  const read = (path: string): string =>
    readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
  const svg = read('docs/demo.svg');

  test('shows every request with its answer as the demo prints it now', () => {
    const lines = textOf(svg);
    const start = lines.findIndex((line) => line.startsWith('OBSERVE '));
    const end = lines.findIndex((line) => line.startsWith('LOG '));
    const expected = chapterLines().map(compact).map(withoutCounts);
    expect(expected.length).toBeGreaterThan(50);
    expect(lines.slice(start, end).map(withoutCounts)).toEqual(expected);
  });

  test('ends with the commands that the demo ends with', () => {
    const lines = textOf(svg);
    expect(lines.slice(lines.indexOf('NEXT') + 1)).toEqual(NEXT.flat());
  });

  test('is shown in README.md with the number of answers that it shows', () => {
    const [total] = textOf(svg).flatMap((line) => /^All \d+ answers as expected/.exec(line) ?? []);
    expect(read('README.md')).toContain(`with \`${total}\`:\n\n<img src="docs/demo.svg" `);
    expect(total).toBe(
      `All ${chapterLines().filter((line) => line.includes('✓')).length} answers as expected`,
    );
  });

  test('needs nothing that GitHub does not show in a picture', () => {
    expect(svg).not.toMatch(/<script|<foreignObject|<image|@import|@font-face|\bhref=|url\(/);
  });
});

describe('a row of the demo', () => {
  const row = { words: 'expired token', expected: '401', reason: 'token_expired' };

  test('has a tick if the answer is the expected one', () => {
    expect(resultLines(row, { answer: '401', reason: 'token_expired' }, paintNothing)).toEqual([
      '  ✓ expired token                  401         401 token_expired',
    ]);
  });

  test('has a cross if the status is another', () => {
    expect(resultLines(row, { answer: '200', reason: 'token_expired' }, paintNothing)).toEqual([
      '  ✗ expired token                  401         200 token_expired',
    ]);
  });

  test('has a cross and the expected reason if the reason is another', () => {
    expect(resultLines(row, { answer: '401', reason: 'internal_error' }, paintNothing)).toEqual([
      '  ✗ expired token                  401         401 internal_error',
      '    expected the reason: token_expired',
    ]);
  });
});

describe('the curl command of a request', () => {
  const linesOf = (request: Parameters<typeof curlLines>[0]) => curlLines(request, PLACE);

  test('quotes what a shell would expand', () => {
    expect(linesOf({ path: '/orders?[1-30]' })).toEqual([
      `    curl -i 'http://127.0.0.1:10000/orders?[1-30]'`,
    ]);
    expect(linesOf({ headers: [`x: it's`] })).toEqual([
      `    curl -i http://127.0.0.1:10000/orders -H 'x: it'\\''s'`,
    ]);
  });

  test('continues on another line before it is wider than 80 columns', () => {
    expect(linesOf({ method: 'OPTIONS', headers: ['@valid', 'authorization: Bearer alice'] })).toEqual([
      '    curl -i -X OPTIONS http://127.0.0.1:10000/orders -H @.demo/valid \\',
      `      -H 'authorization: Bearer alice'`,
    ]);
  });

  test('follows the one that signs it', () => {
    const sign = { file: 'signed', key: 'phone' };
    expect(linesOf({ sign, headers: ['@signed'], body: '@order' })).toEqual([
      '    APPROOV_BASE64_SECRET_FILE=.demo/secret npx approov-ext-authz mint \\',
      '      --sign-request POST http://127.0.0.1:10000/orders \\',
      '      --body-file .demo/order --install-key .demo/phone >.demo/signed',
      '    curl -i http://127.0.0.1:10000/orders -H @.demo/signed -d @.demo/order',
    ]);
  });

  test('has the token of a signed request, and another body', () => {
    expect(linesOf({ headers: ['@signed:1'], body: '{"item":7}' })).toEqual([
      `    curl -i http://127.0.0.1:10000/orders -H "$(head -n 1 .demo/signed)" \\`,
      `      -d '{"item":7}'`,
    ]);
  });

  test('keeps dot segments, which curl would resolve', () => {
    expect(linesOf({ path: '/public/../orders' })).toEqual([
      '    curl -i --path-as-is http://127.0.0.1:10000/public/../orders',
    ]);
  });
});

test('a log line in the demo is the same JSON over several lines of at most 80 columns', () => {
  const line = JSON.stringify({ reason: 'token_expired', alg: 'HS256', path: `/${'a'.repeat(18)}`, n: 123 });
  expect(logLines(line, paintNothing)).toEqual([
    `    {"reason":"token_expired","alg":"HS256","path":"/${'a'.repeat(18)}",`,
    '     "n":123}',
  ]);
  expect(logLines(line.replace(',"n":123', ',"n":12'), paintNothing)).toHaveLength(1);
});

test('an explanation in the demo ends after its steps', () => {
  const explanation = 'refused: late\n\nkey       passed   k\nlifetime  failed   now\n\nclaims:\n  failed: 1';
  expect(explanationLines(explanation, (style, text) => `<${style} ${text}>`)).toEqual([
    '<red refused>: late',
    '',
    'key       <green passed>   k',
    'lifetime  <red failed>   now',
  ]);
});

describe('the SVG of a terminal', () => {
  const lines = ['\u001b[32m✓\u001b[0m a & b    c', '', 'second', 'third'].map((text, index) => ({
    text,
    seconds: index,
  }));
  const svg = terminalSvg(lines, { columns: 80, rows: 2, title: 'a "title"' });

  test('places each group of words at its column, in its colour', () => {
    expect(svg).toContain(
      '<text y="14"><tspan x="0" class="green">✓</tspan><tspan x="16.86">a &amp; b</tspan>' +
        '<tspan x="92.71">c</tspan></text>',
    );
    expect(svg).toContain('aria-label="a &quot;title&quot;"');
    expect(textOf(svg)).toEqual(['✓ a & b c', 'second', 'third']);
  });

  test('uncovers a line at a time, and scrolls when the terminal is full', () => {
    const keyframes = (name: string) => new RegExp(`@keyframes ${name} \\{ (.*) \\}`).exec(svg)?.[1];
    const steps = (...offsets: readonly number[]) =>
      offsets
        .map((offset, index) => `${((100 * index) / 11).toFixed(2)}% { transform: translateY(${offset}px) }`)
        .join(' ');
    expect(keyframes('cover')).toBe(steps(19, 38, 57, 76));
    expect(keyframes('scroll')).toBe(steps(0, 0, -19, -38));
  });

  test('shows its end where nothing is animated', () => {
    expect(svg).toContain(
      '.cover { transform: translateY(76px); }\n.scroll { transform: translateY(-38px); }',
    );
  });
});

test('colours in the demo are SGR codes that are reset', () => {
  expect(paintAnsi('red', 'x')).toBe('\u001b[31mx\u001b[0m');
});
