/** Decodes Envoy's CheckRequest. */
import type { CheckRequest } from '../authz/check-request.ts';
import { RESULT_HEADER_ALIASES } from '../authz/result-header.ts';
import { Pair, readHeaderValue, readMapEntry, TAG } from './check-request-fields.ts';
import { collectHeaders } from './header-collector.ts';
import { type FieldReader, type KeySpan, type Span, WireReader } from './wire.ts';

/** `context_extensions` key by which Envoy's per-route configuration names a policy. */
const POLICY_EXTENSION = 'approov_policy';

/** Length and last letter, ignoring case: enough to skip most header names without making a string of them. */
function shapeOf(length: number, lastByte: number): number {
  return (length << 8) | lastByte | 0x20;
}

/** Cached by the set of names. */
const headerShapes = new WeakMap<ReadonlySet<string>, ReadonlySet<number>>();

function shapesOf(names: ReadonlySet<string>): ReadonlySet<number> {
  const known = headerShapes.get(names);
  if (known !== undefined) return known;
  const shapes = new Set(Array.from(names, (name) => shapeOf(name.length, name.charCodeAt(name.length - 1))));
  headerShapes.set(names, shapes);
  return shapes;
}

const NO_ALIASES: ReadonlySet<string> = new Set();
const UNDERSCORE = 0x5f;
const FIRST_SEPARATOR = 'x'.length;
const SECOND_SEPARATOR = 'x-approov'.length;

/** Both separators and three more places: different for every alias, and rarely the same for another name. */
function aliasShape(first: number, second: number, length: number, letter: number, last: number): number {
  const separators = (first === UNDERSCORE ? 1 : 0) | (second === UNDERSCORE ? 2 : 0);
  return (separators << 24) | (length << 16) | ((letter | 0x20) << 8) | last | 0x20;
}

const ALIASES: ReadonlyMap<number, string> = new Map(
  RESULT_HEADER_ALIASES.map((name) => {
    const at = (index: number): number => name.charCodeAt(index);
    const shape = aliasShape(
      at(FIRST_SEPARATOR),
      at(SECOND_SEPARATOR),
      name.length,
      at(SECOND_SEPARATOR + 1),
      at(name.length - 1),
    );
    return [shape, name];
  }),
);

/** Whether a name has the separator of an alias, which nearly no other name has. */
function mayBeAlias(reader: WireReader, { keyStart }: KeySpan): boolean {
  return (
    reader.byteAt(keyStart + FIRST_SEPARATOR) === UNDERSCORE ||
    reader.byteAt(keyStart + SECOND_SEPARATOR) === UNDERSCORE
  );
}

/** Matches a name against the aliases, ignoring case. Makes no string of it: a client may send hundreds. */
function aliasOf(reader: WireReader, { keyStart, keyEnd }: KeySpan): string | undefined {
  const at = (index: number): number => reader.byteAt(index) ?? 0;
  const first = at(keyStart + FIRST_SEPARATOR);
  const second = at(keyStart + SECOND_SEPARATOR);
  const letter = at(keyStart + SECOND_SEPARATOR + 1);
  const alias = ALIASES.get(aliasShape(first, second, keyEnd - keyStart, letter, at(keyEnd - 1)));
  return alias !== undefined && reader.isName(keyStart, alias) ? alias : undefined;
}

/** A CheckRequest that is being decoded: a repeated singular message merges into it, as protobuf requires. */
class CheckRequestBuilder implements CheckRequest {
  method = '';
  path = '';
  host = '';
  readonly headers = new Map<string, Buffer[]>();
  resultHeaderAliases = NO_ALIASES;
  policyName: string | undefined;
  sourceAddress = '';
  readonly id: Span = { start: 0, end: 0 };
  readonly bodySpan: Span = { start: 0, end: 0 };
  readonly #message: Buffer;
  readonly #headerNames: ReadonlySet<string>;
  readonly #headerShapes: ReadonlySet<number>;
  readonly #pair = new Pair();
  #allHeaders: ReadonlyMap<string, readonly Buffer[]> | undefined;

  constructor(message: Buffer, headerNames: ReadonlySet<string>) {
    this.#message = message;
    this.#headerNames = headerNames;
    this.#headerShapes = shapesOf(headerNames);
  }

  get requestId(): string {
    return this.#message.toString('latin1', this.id.start, this.id.end);
  }

  get body(): Buffer {
    return this.#message.subarray(this.bodySpan.start, this.bodySpan.end);
  }

  allHeaders(): ReadonlyMap<string, readonly Buffer[]> {
    this.#allHeaders ??= collectHeaders(this.#message);
    return this.#allHeaders;
  }

  /** Headers of both forms add up, so a header in both counts as repeated. */
  addHeader(reader: WireReader, readPair: FieldReader<Pair>): void {
    const pair = reader.message(readPair, this.#pair.clear());
    if (mayBeAlias(reader, pair)) this.#noteAlias(aliasOf(reader, pair));
    const lastByte = reader.byteAt(pair.keyEnd - 1) ?? 0;
    if (!this.#headerShapes.has(shapeOf(pair.keyEnd - pair.keyStart, lastByte))) return;
    const name = reader.latin1(pair.keyStart, pair.keyEnd).toLowerCase();
    if (!this.#headerNames.has(name)) return;
    const bytes = reader.view(pair);
    const values = this.headers.get(name);
    if (values === undefined) this.headers.set(name, [bytes]);
    else values.push(bytes);
  }

  #noteAlias(alias: string | undefined): void {
    if (alias === undefined || this.resultHeaderAliases.has(alias)) return;
    this.resultHeaderAliases = new Set(this.resultHeaderAliases).add(alias);
  }
}

/**
 * Decodes a CheckRequest; any field may be missing, unknown ones are skipped.
 * @param headerNames the headers to keep, in lower case.
 * @throws {WireError} the message does not decode.
 */
export function decodeCheckRequest(message: Buffer, headerNames: ReadonlySet<string>): CheckRequest {
  return new WireReader(message).fields(readCheckRequest, new CheckRequestBuilder(message, headerNames));
}

function readCheckRequest(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.checkRequest.attributes) reader.message(readAttributeContext, builder);
  else reader.skip(tag);
}

function readAttributeContext(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  switch (tag) {
    case TAG.attributeContext.source:
      reader.message(readPeer, builder);
      return;
    case TAG.attributeContext.request:
      reader.message(readRequest, builder);
      return;
    case TAG.attributeContext.contextExtensions: {
      const extension = reader.message(readMapEntry, new Pair());
      if (reader.latin1(extension.keyStart, extension.keyEnd) === POLICY_EXTENSION)
        builder.policyName = reader.view(extension).toString();
      return;
    }
    default:
      reader.skip(tag);
  }
}

function readPeer(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.peer.address) reader.message(readAddress, builder);
  else reader.skip(tag);
}

function readAddress(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.address.socketAddress) reader.message(readSocketAddress, builder);
  else if (tag === TAG.address.pipe) reader.message(readPipe, builder);
  else reader.skip(tag);
}

function readSocketAddress(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.socketAddress.address) builder.sourceAddress = reader.utf8();
  else reader.skip(tag);
}

function readPipe(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.pipe.path) builder.sourceAddress = reader.utf8();
  else reader.skip(tag);
}

function readRequest(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.request.http) reader.message(readHttpRequest, builder);
  else reader.skip(tag);
}

function readHttpRequest(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  switch (tag) {
    case TAG.httpRequest.method:
      builder.method = reader.utf8();
      return;
    case TAG.httpRequest.path:
      builder.path = reader.utf8();
      return;
    case TAG.httpRequest.host:
      builder.host = reader.utf8();
      return;
    case TAG.httpRequest.headers:
      builder.addHeader(reader, readMapEntry);
      return;
    case TAG.httpRequest.headerMap:
      reader.message(readHeaderMap, builder);
      return;
    case TAG.httpRequest.id:
      reader.mark(builder.id);
      return;
    case TAG.httpRequest.body:
    case TAG.httpRequest.rawBody:
      reader.mark(builder.bodySpan);
      return;
    default:
      reader.skip(tag);
  }
}

function readHeaderMap(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.headerMap.headers) builder.addHeader(reader, readHeaderValue);
  else reader.skip(tag);
}
