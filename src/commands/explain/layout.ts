/** Lays an explanation out for people: in 80 columns, and on a terminal in colour. */
import type { Step } from '../../authz/reason.ts';
import { escapeUnprintable } from '../../telemetry/printable.ts';
import { type Paint, paintFor } from '../terminal.ts';
import { wrap } from '../wrap.ts';
import type { Explanation } from './explanation.ts';

const WIDTH = 80;
/** Columns of the name of a step and of its result. */
const STEP_WIDTH = 11;
const RESULT_WIDTH = 9;
const CLAIM_INDENT = 2;

const RESULT_STYLES = { passed: 'green', failed: 'red', skipped: 'yellow' } as const;

export function formatExplanation(explanation: Explanation, hasColors: boolean): readonly string[] {
  const paint = paintFor({ hasColors });
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

/** Of the step whose name is longer than the column. */
const SHORT_NAMES: Readonly<Partial<Record<Step, string>>> = { message_signature: 'message' };

function stepLines({ step, result, text }: Explanation['steps'][number], paint: Paint): readonly string[] {
  const start = paint(RESULT_STYLES[result], result) + ' '.repeat(RESULT_WIDTH - result.length);
  return text
    .flatMap((sentence) =>
      isBaseLine(sentence)
        ? [escapeUnprintable(sentence)]
        : wrap(sentence, WIDTH - STEP_WIDTH - RESULT_WIDTH),
    )
    .map((line, index) =>
      index === 0
        ? (SHORT_NAMES[step] ?? step).padEnd(STEP_WIDTH) + start + line
        : ' '.repeat(STEP_WIDTH + RESULT_WIDTH) + line,
    );
}

/** A line of a signature base stays whole, to be compared with that of the app. It begins with a quoted component. */
function isBaseLine(sentence: string): boolean {
  return sentence.startsWith('"');
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

const AUDIENCES = { app_developer: 'for the app developer', on_call: 'for the on-call engineer' } as const;

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
