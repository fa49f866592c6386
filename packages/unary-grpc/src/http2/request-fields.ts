/** The fields of a request: which are valid (RFC 9113 §8.2, §8.3), and the values of those that are of interest. */
import { MAX_HEADER_FIELDS } from '../limits.ts';

/** Where the value of a field is kept. Names of interest follow. */
const PSEUDO_FIELDS = [':method', ':scheme', ':authority', ':path'] as const;
const METHOD = 0;
const SCHEME = 1;
const AUTHORITY = 2;
const PATH = 3;
const TE = 4;
const HOST = 5;
const CONTENT_LENGTH = 6;
const FIRST_OF_INTEREST = 7;
/** §8.2.2. */
const CONNECTION_SPECIFIC = -1;

const SLOTS: readonly (readonly [name: string, slot: number])[] = [
  ...PSEUDO_FIELDS.map((name, slot) => [name, slot] as const),
  ['te', TE],
  ['host', HOST],
  ['content-length', CONTENT_LENGTH],
  ...['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'].map(
    (name) => [name, CONNECTION_SPECIFIC] as const,
  ),
];

/** The fields that HTTP/2 itself reads. */
export const HTTP2_FIELDS: readonly string[] = SLOTS.map(([name]) => name);

/** By octet: whether it may be part of a name. §8.2.1 leaves of a token (RFC 9110 §5.6.2) what is not upper case. */
const NAME_OCTETS = new Uint8Array(256);
for (const octet of Buffer.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"))
  NAME_OCTETS[octet] = 1;

/** Reads one header list after the other, without an allocation for any. */
export class RequestFields {
  /** §6.5.2. */
  listBytes = 0;
  /** What is wrong with the list. It makes the request malformed (§8.1.1). */
  problem: string | undefined;
  /** The list is over a limit. Its other fields have not been read. */
  isTooLarge = false;
  readonly #maxListBytes: number;
  readonly #slots: ReadonlyMap<string, number>;
  readonly #values: (string | undefined)[];
  #count = 0;
  #areTrailers = false;
  #isPastPseudoFields = false;

  /** @param namesOfInterest regular fields whose values {@link value} returns, by their place in this list. */
  constructor(maxListBytes: number, namesOfInterest: readonly string[]) {
    this.#maxListBytes = maxListBytes;
    const ofInterest = namesOfInterest.map((name, index) => [name, FIRST_OF_INTEREST + index] as const);
    this.#slots = new Map([...ofInterest, ...SLOTS]);
    this.#values = new Array<string | undefined>(FIRST_OF_INTEREST + namesOfInterest.length).fill(undefined);
  }

  /** Begins a list. Trailers are checked, but their values are not kept. */
  begin(areTrailers: boolean): void {
    this.#values.fill(undefined);
    this.listBytes = 0;
    this.problem = undefined;
    this.isTooLarge = false;
    this.#count = 0;
    this.#areTrailers = areTrailers;
    this.#isPastPseudoFields = areTrailers;
  }

  readonly add = (name: string, value: string): void => {
    this.listBytes += name.length + value.length + 32;
    if (this.listBytes > this.#maxListBytes || ++this.#count > MAX_HEADER_FIELDS) this.isTooLarge = true;
    if (this.isTooLarge || this.problem !== undefined) return;
    const slot = this.#slots.get(name);
    this.problem = slot === undefined ? problemOfName(name) : this.#keep(slot, value);
    if (slot === undefined || slot >= TE) this.#isPastPseudoFields = true;
    if (!isFieldValue(value)) this.problem ??= 'a field value with a character that is not allowed';
  };

  /** The list is complete. Sets {@link problem} if it lacks a field. */
  end(): void {
    if (!this.#areTrailers && !this.isTooLarge) this.problem ??= this.#problemOfList();
  }

  get method(): string | undefined {
    return this.#values[METHOD];
  }

  get path(): string | undefined {
    return this.#values[PATH];
  }

  /** -1 if there is none. */
  get contentLength(): number {
    const value = this.#values[CONTENT_LENGTH];
    return value === undefined ? -1 : Number(value);
  }

  /** @param index of the name in the list of names of interest. The first value, if there are several. */
  value(index: number): string | undefined {
    return this.#values[FIRST_OF_INTEREST + index];
  }

  #keep(slot: number, value: string): string | undefined {
    if (slot === CONNECTION_SPECIFIC) return 'a connection-specific field';
    if (slot < TE && this.#isPastPseudoFields) {
      return this.#areTrailers ? 'a pseudo-header field in trailers' : 'a pseudo-header field after others';
    }
    if (slot === TE && value !== 'trailers') return 'te is not "trailers"';
    if (slot === CONTENT_LENGTH && !/^\d{1,15}$/.test(value)) return 'content-length is not a number';
    const earlier = this.#values[slot];
    if (earlier === undefined) this.#values[slot] = value;
    else if (slot < TE) return 'a repeated pseudo-header field';
    else if (slot < FIRST_OF_INTEREST && earlier !== value) return 'a repeated field with another value';
    return undefined;
  }

  /** §8.3.1; §8.5 for CONNECT. */
  #problemOfList(): string | undefined {
    const values = this.#values;
    const path = values[PATH];
    const authority = values[AUTHORITY];
    const host = values[HOST];
    if (values[METHOD] === undefined) return ':method is missing';
    if (values[METHOD] === 'CONNECT') {
      const isConnect = path === undefined && values[SCHEME] === undefined && authority !== undefined;
      return isConnect ? undefined : 'CONNECT with :scheme or :path, or without :authority';
    }
    if (values[SCHEME] === undefined) return ':scheme is missing';
    if (path === undefined) return ':path is missing';
    if (path.charCodeAt(0) !== SLASH && !(path === '*' && values[METHOD] === 'OPTIONS'))
      return ':path is not a path';
    if (authority === undefined && host === undefined) return ':authority and host are missing';
    if (authority === '' || host === '') return ':authority or host is empty';
    if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase())
      return 'host differs from :authority';
    if (authority?.includes('@')) return ':authority has userinfo';
    return undefined;
  }
}

const SLASH = 0x2f;

/** Whether it is the name of a regular field in HTTP/2: a token in lower case. */
export function isFieldName(name: string): boolean {
  return problemOfName(name) === undefined;
}

function problemOfName(name: string): string | undefined {
  if (name.length === 0) return 'an empty field name';
  for (let index = 0; index < name.length; index++) {
    if (NAME_OCTETS[name.charCodeAt(index)] === 1) continue;
    if (index === 0 && name.charCodeAt(0) === 0x3a) return 'an unknown pseudo-header field';
    return 'a field name with a character that is not allowed';
  }
  return undefined;
}

/** §8.2.1: no NUL, CR or LF, and no space or tab at either end. */
function isFieldValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) return false;
  for (let index = 0; index < length; index++) {
    const octet = value.charCodeAt(index);
    if (octet <= 0xd && (octet === 0 || octet === 0xa || octet === 0xd)) return false;
  }
  return true;
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x9;
}
