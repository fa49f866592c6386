/** Reads the options that describe a request, for `explain` and `mint`. */
import { readFileBytes } from '../sources/text-file.ts';
import { type Io, type Options, UsageError } from './command.ts';

export type HeaderLine = readonly [name: string, value: string];

/** The headers of `--header`, names in lower case. */
export function readHeaders(options: Options): readonly HeaderLine[] {
  return options.texts('header').map(readHeader);
}

function readHeader(line: string): HeaderLine {
  const colon = line.indexOf(':');
  if (colon < 1) throw new UsageError("--header: must be 'name: value'");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

/** The body of `--body-file`. */
export async function readBody(options: Options): Promise<Buffer | undefined> {
  const file = options.text('body-file');
  if (file === undefined) return undefined;
  const result = await readFileBytes(file);
  if (result.kind === 'unreadable') throw new UsageError(`--body-file: ${result.problem}`);
  return result.bytes;
}

/** The token of `--token`, or of stdin. */
export async function readToken(options: Options, io: Io): Promise<string | undefined> {
  const token = options.text('token');
  return token === '-' ? (await io.readStdin()).trim() : token;
}
