/** Wraps the secret that Approov and the API owner share: never printed, compared in constant time. */
import { createHash, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { type Algorithm, algorithmRow } from './algorithm.ts';
import { decodeBase64 } from './base64.ts';
import { DIGEST_BYTES, type HmacHash, HmacKey } from './hmac.ts';
import { KeyError } from './key-error.ts';

/** Describes what is wrong with the length of a secret; `undefined` if nothing is. */
export type LengthRule = (bytes: number) => string | undefined;

/** RFC 7518 §3.2: at least as long as the hash of each algorithm. */
export function signingLength(algorithms: readonly Algorithm[]): LengthRule {
  return (bytes) => {
    const unfit = algorithms.find((algorithm) => bytes < minSecretBytes(algorithm));
    return unfit && `at least ${minSecretBytes(unfit)} are needed for ${unfit}`;
  };
}

function minSecretBytes(algorithm: Algorithm): number {
  const { hash } = algorithmRow(algorithm);
  return hash === null ? 0 : DIGEST_BYTES[hash];
}

export class Secret {
  readonly #key: KeyObject;
  /** By hash function, as far as they were used. */
  readonly #hmacKeys = new Map<HmacHash, HmacKey>();
  /** First 12 hex digits of the SHA-256 of the decoded secret: identifies it without revealing it. */
  readonly fingerprint: string;
  /** For the operator; reveals nothing of the secret. */
  readonly warning: string | undefined;

  private constructor(bytes: Buffer) {
    this.#key = createSecretKey(bytes);
    this.fingerprint = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    const encoding = encodingOf(bytes.toString('latin1').trim());
    this.warning =
      encoding &&
      `the secret decodes to text that is itself ${encoding}: it was probably encoded twice; decode it once`;
  }

  /**
   * Reads what `approov secret -get base64` (or base64url) prints, surrounding white space allowed.
   * @throws {KeyError} empty, not base64, or not of the length that `rule` asks for. States lengths, never bytes.
   */
  static parse(text: string, rule: LengthRule = signingLength(['HS256'])): Secret {
    const trimmed = text.trim();
    if (trimmed === '') throw new KeyError('the secret is empty');
    const bytes = decodeBase64(trimmed);
    if (bytes === undefined) {
      throw new KeyError(
        `the secret (${trimmed.length} characters) is neither base64 nor base64url${hintAt(trimmed, rule)}`,
      );
    }
    const problem = rule(bytes.length);
    if (problem !== undefined) {
      throw new KeyError(`the secret decodes to ${bytes.length} bytes; ${problem}`);
    }
    return new Secret(bytes);
  }

  sign(algorithm: Algorithm, signingInput: string): Buffer {
    const { family, hash } = algorithmRow(algorithm);
    if (family !== 'secret' || hash === null) throw new TypeError(`${algorithm} does not sign with a secret`);
    return this.#hmacKey(hash).sign(signingInput);
  }

  /** Always false for a public-key algorithm. */
  verify(algorithm: Algorithm, signingInput: string, signature: Buffer): boolean {
    if (algorithmRow(algorithm).family !== 'secret') return false;
    const expected = this.sign(algorithm, signingInput);
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }

  #hmacKey(hash: HmacHash): HmacKey {
    const known = this.#hmacKeys.get(hash);
    if (known !== undefined) return known;
    const key = new HmacKey(hash, this.#key.export());
    this.#hmacKeys.set(hash, key);
    return key;
  }

  /** For decryption. A KeyObject does not print its bytes either. */
  toKeyObject(): KeyObject {
    return this.#key;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** 32 random bytes happen to be base64 text once in 10^19 times. */
function encodingOf(text: string): 'hex' | 'base64' | undefined {
  if (/^(?:[0-9A-Fa-f]{2})+$/.test(text)) return 'hex';
  return decodeBase64(text) === undefined ? undefined : 'base64';
}

/** Explains the most common mistakes. */
function hintAt(text: string, rule: LengthRule): string {
  const line = onlySecretLine(text.split(/\r?\n/), rule);
  const others = BANNER.test(text) ? 'the banner that the Approov CLI printed around it' : 'the other lines';
  if (line !== undefined) return `; line ${line} alone is a secret: remove ${others}`;
  if (/\s/.test(text)) return '; it has white space inside: give the secret alone, on one line';
  return /^["']/.test(text) ? '; it is in quotes: remove them' : '';
}

/** With a message signing key, the Approov CLI prints whose it is, a warning, the key id and the encoding. */
const BANNER = /approov|key id|message signing/i;

/** The Approov CLI prints a note above the secret. */
function onlySecretLine(lines: readonly string[], rule: LengthRule): number | undefined {
  const candidates = lines.flatMap((line, index) => {
    const bytes = decodeBase64(line.trim());
    return bytes !== undefined && rule(bytes.length) === undefined ? [index + 1] : [];
  });
  return candidates.length === 1 ? candidates[0] : undefined;
}

/**
 * Whether a text may contain a secret: a long run of base64 with both cases and a digit, which names of files and fields
 * hardly ever are; 32 bytes of base64 with more capitals than such names have; or 32 bytes in hexadecimal. Runs with `/`,
 * `-` or `_` count from 32 bytes on, since these also separate folders and words.
 */
export function looksLikeSecret(text: string): boolean {
  if (/[0-9A-Fa-f]{64}/.test(text)) return true;
  const runs = text.trim().match(/^[A-Za-z0-9+][A-Za-z0-9+/]{42,}|[\w-]{43,}|[A-Za-z0-9+]{20,}/g) ?? [];
  if (runs.some((run) => /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run))) return true;
  // `base64:…`, `secret=…`: what stands before a secret is no part of it.
  const bytes = decodeBase64(text.trim().replace(/^\w+[:=](?=[^=])/, ''));
  return (
    bytes !== undefined && bytes.length >= 32 && countOf(/[A-Z]/g, text) >= 8 && countOf(/[a-z]/g, text) >= 8
  );
}

function countOf(pattern: RegExp, text: string): number {
  return text.match(pattern)?.length ?? 0;
}
