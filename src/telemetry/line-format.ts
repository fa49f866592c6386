/** Formats log lines: as JSON, or for a person at a terminal. */
import { escapeAll, escapeUnprintable } from './printable.ts';

/** Takes a line of JSON as pino writes it, and returns what goes to stdout. */
export type LineFormat = (line: string) => string;

/** Of control and format characters, pino escapes C0 only. */
export const formatJson: LineFormat = (line) => `${escapeUnprintable(line.trimEnd())}\n`;

/** The stream that the lines go to, such as `process.stdout`. */
interface Output {
  /** Absent unless it is a terminal. */
  readonly isTTY?: boolean;
  /** Honours `NO_COLOR`. */
  hasColors?(): boolean;
}

/** `auto`: pretty on a terminal, else JSON. */
export async function loadLineFormat(
  format: 'auto' | 'json' | 'pretty',
  output: Output,
): Promise<LineFormat> {
  const isTerminal = output.isTTY === true;
  if (format === 'json' || (format === 'auto' && !isTerminal)) return formatJson;
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({
    colorize: isTerminal && output.hasColors?.() === true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    // Their default is a grey that some terminals hardly show.
    colorizeObjects: false,
    // Its own keys for errors: values would be printed over several lines.
    errorLikeObjectKeys: [],
  });
  // Escaped before it is formatted, as colours are control characters too.
  return (line) => pretty(escapeAll(JSON.parse(line)));
}
