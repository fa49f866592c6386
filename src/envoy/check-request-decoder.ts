/** Decodes Envoy's CheckRequest. */
import type { CheckRequest } from '../authz/check-request.ts';
import { RESULT_HEADER_ALIASES } from '../authz/result-header.ts';
import { Pair, type PairForm, readPair, TAG } from './check-request-fields.ts';
import { collectHeaders } from './header-collector.ts';
import { HeaderIndex } from './header-index.ts';
import { type KeySpan, NO_TAG, type Span, WireReader } from './wire.ts';

/** `context_extensions` key by which Envoy's per-route configuration names a policy. */
const POLICY_EXTENSION = 'approov_policy';

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
  readonly headers: HeaderIndex;
  resultHeaderAliases = NO_ALIASES;
  policyName: string | undefined;
  readonly source: Span = { start: 0, end: 0 };
  readonly id: Span = { start: 0, end: 0 };
  readonly bodySpan: Span = { start: 0, end: 0 };
  readonly #message: Buffer;
  #pair = new Pair();
  #allHeaders: ReadonlyMap<string, readonly Buffer[]> | undefined;

  constructor(message: Buffer, headers: HeaderIndex) {
    this.#message = message;
    this.headers = headers;
  }

  get sourceAddress(): string {
    return this.#message.toString('utf8', this.source.start, this.source.end);
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
  addHeader(reader: WireReader, form: PairForm): void {
    const pair = this.#pair;
    readPair(reader, form, pair);
    if (mayBeAlias(reader, pair)) this.#noteAlias(aliasOf(reader, pair));
    if (this.headers.add(pair)) this.#pair = new Pair();
    else pair.clear();
  }

  #noteAlias(alias: string | undefined): void {
    if (alias === undefined || this.resultHeaderAliases.has(alias)) return;
    this.resultHeaderAliases = new Set(this.resultHeaderAliases).add(alias);
  }
}

/**
 * Decodes a CheckRequest; any field may be missing, unknown ones are skipped.
 * @param headerNames the headers that `headers` has, in lower case.
 * @throws {WireError} the message does not decode.
 */
export function decodeCheckRequest(message: Buffer, headerNames: ReadonlySet<string>): CheckRequest {
  const reader = new WireReader(message);
  const headers = new HeaderIndex(reader, headerNames);
  return reader.fields(readCheckRequest, new CheckRequestBuilder(message, headers));
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
      const extension = new Pair();
      readPair(reader, 'map entry', extension);
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
  if (tag === TAG.socketAddress.address) reader.mark(builder.source);
  else reader.skip(tag);
}

function readPipe(reader: WireReader, tag: number, builder: CheckRequestBuilder): void {
  if (tag === TAG.pipe.path) reader.mark(builder.source);
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
      builder.addHeader(reader, 'map entry');
      return;
    case TAG.httpRequest.headerMap:
      readHeaderMap(reader, builder);
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

function readHeaderMap(reader: WireReader, builder: CheckRequestBuilder): void {
  const outerEnd = reader.enter();
  for (let tag = reader.nextTag(); tag !== NO_TAG; tag = reader.nextTag()) {
    if (tag === TAG.headerMap.headers) builder.addHeader(reader, 'HeaderValue');
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}
