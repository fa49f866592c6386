/** Wraps text for a terminal. */
import { escapeUnprintable } from '../telemetry/printable.ts';

/** Breaks between words, and words that are longer than a line anywhere. Escapes first: escapes take columns. */
export function wrap(text: string, width: number): readonly string[] {
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
