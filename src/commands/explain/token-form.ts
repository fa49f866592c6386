/** Finds out why a value is not a well-formed token: what was added to it, or what it lacks. */
import { type Algorithm, algorithmRow, parseAlgorithm } from '../../approov/algorithm.ts';
import { CompactToken, type JsonObject, MAX_TOKEN_BYTES } from '../../approov/compact-token.ts';
import { formatCount, plural } from '../../rollout/words.ts';

export interface TokenForm {
  readonly characters: number;
  readonly parts: number;
  readonly form: 'signed' | 'encrypted' | 'malformed';
  /** What is around or inside the token and must not be. */
  readonly mistakes: readonly Mistake[];
  /** Whether the value would be well-formed without the mistakes. */
  readonly well_formed_without: boolean;
  /** What is still wrong without the mistakes; `null`: nothing. */
  readonly defect: string | null;
}

type Mistake = keyof typeof REPAIRS;

/** In this order; each returns the same text if the mistake is not there. */
const REPAIRS = {
  quotes: (text) => text.replace(/^["'`]+|["'`]+$/g, ''),
  brackets: (text) => text.replace(/^<(.*)>$/s, '$1'),
  url_encoding: decodeUrl,
  prefix: (text) => text.replace(/^[A-Za-z][A-Za-z-]*:?[ \t]+(?=\S)/, ''),
  white_space: (text) => text.replace(/\s+/g, ''),
  base64: (text) =>
    text
      .replace(/\+/g, '-')
      .replace(/\//g, '_')
      .replace(/=+(?=\.|$)/g, ''),
} as const satisfies Record<string, (text: string) => string>;

export const MISTAKES: Readonly<Record<Mistake, string>> = {
  quotes: 'quotes around it',
  brackets: 'angle brackets around it',
  prefix: 'a prefix before it',
  url_encoding: 'percent-encoding in it',
  white_space: 'white space in it',
  base64: 'base64 characters in it, where a token uses base64url without padding',
};

function decodeUrl(text: string): string {
  if (!/%[0-9A-Fa-f]{2}/.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function analyzeForm(token: CompactToken): TokenForm {
  const mistakes: Mistake[] = [];
  let repaired = token.text;
  // For an overlong value, its length says enough.
  const names =
    token.parsed === undefined && !isOverlong(repaired) ? (Object.keys(REPAIRS) as Mistake[]) : [];
  for (const name of names) {
    const next = REPAIRS[name](repaired);
    if (next !== repaired) mistakes.push(name);
    repaired = next;
  }
  // A value that does not become a token has no mistakes; it is something else.
  const isToken = isStart(repaired);
  const without = mistakes.length === 0 || !isToken ? token : new CompactToken(repaired);
  const { kind } = token.parsed ?? {};
  return {
    characters: token.text.length,
    parts: token.text.split('.').length,
    form: kind === 'jws' ? 'signed' : kind === 'jwe' ? 'encrypted' : 'malformed',
    mistakes: isToken ? mistakes : [],
    well_formed_without: isToken && mistakes.length > 0 && without.parsed !== undefined,
    defect: without.parsed === undefined ? findDefect(without.text) : null,
  };
}

function isOverlong(text: string): boolean {
  return text.length > MAX_TOKEN_BYTES;
}

/** How the defect of a token begins that lacks its end. */
export const CUT_OFF = 'it is cut off';

function findDefect(text: string): string {
  if (isOverlong(text))
    return `it has ${plural(text.length, 'character')}, and at most ${formatCount(MAX_TOKEN_BYTES)} are allowed`;
  if (text.includes('...') || text.includes('\u00e2\u0080\u00a6'))
    return 'it is shortened with dots, as in a log';
  if (text.startsWith('{'))
    return 'it is JSON, such as the loggable form that SDKs log, which is not a token';
  if (!isStart(text)) return 'it does not begin with `ey`, as a JWT does';
  const parts = text.split('.');
  if (parts.length === 1) return `${CUT_OFF} in its first part`;
  if (parts.length === 2) return `${CUT_OFF}: it has 2 of 3 parts, and no signature`;
  if (parts.length !== 3 && parts.length !== 5) {
    return `it has ${parts.length} parts; a signed token has 3, an encrypted one 5`;
  }
  return findDefectivePart(parts);
}

/** `ey` is `{"` in base64url. */
function isStart(text: string): boolean {
  return text.startsWith('ey');
}

/** Puts each part in a token whose other parts are sound. */
function findDefectivePart(parts: readonly string[]): string {
  const [header = '', payload = '', signature = ''] = parts;
  const isSound = (token: readonly string[]): boolean =>
    new CompactToken(token.join('.')).parsed !== undefined;
  if (!isSound([header, 'AA', ''])) {
    return 'its first part is not a JSON object in base64url';
  }
  if (parts.length === 5) return 'one of its 5 parts is not base64url';
  if (payload === '') return 'its second part, the payload, is empty';
  if (!isSound([header, payload, ''])) return 'its second part, the payload, is not base64url';
  const bytes = Math.floor((signature.length * 3) / 4);
  const problem = lengthProblem(new CompactToken(`${header}.AA.`).header, bytes);
  if (problem?.isShort) return `${CUT_OFF}: ${problem.text}`;
  return 'its third part, the signature, is not base64url';
}

/** Bytes of a signature (RFC 7518 §3, RFC 8037 §3.1). RSA: of the shortest key that is accepted. */
const SIGNATURE_BYTES: Readonly<Record<Algorithm, number>> = {
  HS256: 32,
  HS384: 48,
  HS512: 64,
  RS256: 256,
  RS384: 256,
  RS512: 256,
  PS256: 256,
  PS384: 256,
  PS512: 256,
  ES256: 64,
  ES384: 96,
  ES512: 132,
  EdDSA: 64,
};

interface LengthProblem {
  readonly isShort: boolean;
  readonly text: string;
}

/** `undefined`: a signature of the token's `alg` may have this many bytes. */
function lengthProblem(header: JsonObject | undefined, bytes: number): LengthProblem | undefined {
  const algorithm = parseAlgorithm(header?.['alg']);
  if (algorithm === undefined) return undefined;
  const expected = SIGNATURE_BYTES[algorithm];
  const isRsa = algorithmRow(algorithm).family === 'rsa';
  if (bytes === expected || (isRsa && bytes > expected)) return undefined;
  const text = `its signature has ${plural(bytes, 'byte')}, one of ${algorithm} has ${isRsa ? 'at least ' : ''}${expected}`;
  return { isShort: bytes < expected, text };
}

/** Says that a signature is too short or too long for the token's `alg`; `undefined` if it is not. */
export function signatureLengthProblem(header: JsonObject | undefined, bytes: number): string | undefined {
  const problem = lengthProblem(header, bytes);
  if (problem === undefined) return undefined;
  return problem.isShort ? `${CUT_OFF}: ${problem.text}` : `something was added to it: ${problem.text}`;
}
