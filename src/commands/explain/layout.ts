/** Lays an explanation out for people: in 80 columns, and on a terminal in colour. */
import { escapeUnprintable } from '../../telemetry/printable.ts';
import type { Explanation } from './explanation.ts';

const WIDTH = 80;
/** Columns of the name of a step and of its result. */
const STEP_WIDTH = 11;
const RESULT_WIDTH = 9;
const CLAIM_INDENT = 2;

/** SGR codes (ECMA-48 §8.3.117): on and off. */
const STYLES = { bold: [1, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

type Paint = (style: keyof typeof STYLES, text: string) => string;

const plain: Paint = (_style, text) => text;
const colored: Paint = (style, text) => `\u001b[${STYLES[style][0]}m${text}\u001b[${STYLES[style][1]}m`;

const RESULT_STYLES = { passed: 'green', failed: 'red', skipped: 'yellow' } as const;

export function formatExplanation(explanation: Explanation, hasColors: boolean): readonly string[] {
  const paint = hasColors ? colored : plain;
  const isLenient = explanation.would_deny && explanation.outcome === 'allowed';
  return [
    ...headline(explanation, isLenient, paint),
    '',
    ...explanation.steps.flatMap((step) => stepLines(step, paint)),
    ...tokenLines(explanation.token),
    ...adviceLines(explanation, paint),
    ...(isLenient ? ['', paint('yellow', 'allowed (enforce would refuse)')] : []),
  ];
}

function headline({ outcome, summary }: Explanation, isLenient: boolean, paint: Paint): readonly string[] {
  const style = isLenient ? 'yellow' : outcome === 'allowed' ? 'green' : 'red';
  const [first = '', ...more] = wrap(`${outcome}: ${summary}`, WIDTH);
  return [first.replace(outcome, () => paint(style, outcome)), ...more];
}

function stepLines({ step, result, text }: Explanation['steps'][number], paint: Paint): readonly string[] {
  const start = paint(RESULT_STYLES[result], result) + ' '.repeat(RESULT_WIDTH - result.length);
  return text
    .flatMap((sentence) => wrap(sentence, WIDTH - STEP_WIDTH - RESULT_WIDTH))
    .map((line, index) =>
      index === 0 ? step.padEnd(STEP_WIDTH) + start + line : ' '.repeat(STEP_WIDTH + RESULT_WIDTH) + line,
    );
}

function tokenLines(token: Explanation['token']): readonly string[] {
  if (token === undefined) return [];
  const { header, claims, signature } = token;
  const trust = signature === 'verified' ? 'verified' : 'not verified: anyone could have written them';
  return [
    '',
    'header of the token:',
    ...memberLines(header),
    ...(claims === null ? [] : claimLines(claims, trust)),
  ];
}

function claimLines(claims: unknown, trust: string): readonly string[] {
  const lines = memberLines(claims);
  return lines.length === 0 ? ['claims: none'] : [`claims (${trust}):`, ...lines];
}

function memberLines(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    indented(`${name}: ${JSON.stringify(member)}`, 2 * CLAIM_INDENT),
  );
}

/** Further lines are indented by as much as the first, and two more. */
function indented(text: string, indent: number): readonly string[] {
  return wrap(text, WIDTH - indent).map((line, index) =>
    index === 0 ? ' '.repeat(CLAIM_INDENT) + line : ' '.repeat(indent) + line,
  );
}

const AUDIENCES = { app_developer: 'for the app developer', on_call: 'for the on-call' } as const;

function adviceLines({ reason, meaning, advice }: Explanation, paint: Paint): readonly string[] {
  return [
    '',
    ...labelled(`reason ${reason}`, meaning, paint),
    ...(advice === null
      ? []
      : Object.entries(AUDIENCES).flatMap(([audience, label]) =>
          labelled(label, advice[audience as keyof typeof AUDIENCES], paint),
        )),
  ];
}

function labelled(label: string, text: string, paint: Paint): readonly string[] {
  const [first = '', ...more] = indented(`${label}: ${text}`, 2 * CLAIM_INDENT);
  return [first.trimStart().replace(`${label}:`, () => paint('bold', `${label}:`)), ...more];
}

/** Breaks between words, and words that are longer than a line anywhere. Escapes first: escapes take columns. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of wordsOf(escapeUnprintable(text))) {
    const next = line === '' ? word : `${line} ${word}`;
    if (next.length <= width) {
      line = next;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  return [...lines, line];
}

/** A command in backticks that is not longer counts as one word, so that it can be copied. */
const MAX_COMMAND = 50;

function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  for (const part of text.split(' ')) {
    const last = words.at(-1);
    const isInCommand =
      last !== undefined && last.length + part.length < MAX_COMMAND && last.split('`').length % 2 === 0;
    if (isInCommand) words[words.length - 1] = `${last} ${part}`;
    else words.push(part);
  }
  return words;
}
