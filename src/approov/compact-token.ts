/** Parses tokens in compact serialization: JWS (RFC 7515 §7.1) and JWE (RFC 7516 §7.1). Verifies nothing. */
import { isUtf8 } from 'node:buffer';
import { isBase64Url } from './base64.ts';

/** Longest token in bytes; real ones have a few hundred. */
export const MAX_TOKEN_BYTES = 8192;

/** A parsed JSON object; the type of each member is still to be checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

interface ParsedJws {
  readonly kind: 'jws';
  readonly header: JsonObject;
  /** In base64url: the payload of a token that fails is not decoded. */
  readonly payload: string;
  readonly signature: Buffer;
}

/** Decryption reads the other parts itself. */
interface ParsedJwe {
  readonly kind: 'jwe';
  readonly header: JsonObject;
}

/** A token as it was sent, parsed on first use and only once. Nothing in it is verified. */
export class CompactToken {
  /** Never to be logged. */
  readonly text: string;
  /** `null`: malformed. */
  #parsed: ParsedJws | ParsedJwe | null | undefined;
  /** `null`: not a JSON object. */
  #claims: JsonObject | null | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** `undefined` unless each part is strict base64url and the header is a JSON object. */
  get parsed(): ParsedJws | ParsedJwe | undefined {
    if (this.#parsed === undefined) this.#parsed = parse(this.text) ?? null;
    return this.#parsed ?? undefined;
  }

  get header(): JsonObject | undefined {
    return this.parsed?.header;
  }

  /** The payload of a JWS; `undefined` unless it is a JSON object. */
  get claims(): JsonObject | undefined {
    if (this.#claims === undefined) {
      const { parsed } = this;
      this.#claims = (parsed?.kind === 'jws' ? parseJsonObject(decode(parsed.payload)) : undefined) ?? null;
    }
    return this.#claims ?? undefined;
  }

  /** Whether this is a well-formed JWE. Cheap for any other token, which is not parsed for it. */
  get isEncrypted(): boolean {
    return FIVE_PARTS.test(this.text) && this.parsed?.kind === 'jwe';
  }
}

const FIVE_PARTS = /^[^.]*(?:\.[^.]*){4}$/;

function parse(text: string): ParsedJws | ParsedJwe | undefined {
  if (text.length > MAX_TOKEN_BYTES) return undefined;
  // Six parts are enough to reject a token; without a limit, 8 KiB of dots would become thousands of parts.
  const parts = text.split('.', 6);
  const [encodedHeader, payload, signature] = parts;
  if (encodedHeader === undefined || payload === undefined || signature === undefined) return undefined;
  if (!parts.every(isBase64Url)) return undefined;
  if (parts.length === 5) {
    const header = parseHeader(encodedHeader);
    return header && { kind: 'jwe', header };
  }
  if (parts.length !== 3 || payload.length === 0) return undefined;
  const header = parseHeader(encodedHeader);
  return header && { kind: 'jws', header, payload, signature: decode(signature) };
}

/** The tokens of an account all have the same header, so the last one is kept. */
let lastHeader: { readonly encoded: string; readonly header: JsonObject | undefined } | undefined;

function parseHeader(encoded: string): JsonObject | undefined {
  if (lastHeader?.encoded !== encoded) lastHeader = { encoded, header: parseJsonObject(decode(encoded)) };
  return lastHeader.header;
}

/** @param encoded for which {@link isBase64Url} is true. */
function decode(encoded: string): Buffer {
  return Buffer.from(encoded, 'base64url');
}

/** Strict: UTF-8 without a byte order mark. */
export function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  if (!isUtf8(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
