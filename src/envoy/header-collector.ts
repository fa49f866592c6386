/** Collects every header of a CheckRequest, of which the decoder keeps only those that policies read. */
import { Pair, type PairForm, readPair, TAG } from './check-request-fields.ts';
import { WireReader } from './wire.ts';

type Headers = Map<string, Buffer[]>;

/** By lower-case name. @param message one that has been decoded. */
export function collectHeaders(message: Buffer): ReadonlyMap<string, readonly Buffer[]> {
  return new WireReader(message).fields(readCheckRequest, new Map());
}

function readCheckRequest(reader: WireReader, tag: number, headers: Headers): void {
  if (tag === TAG.checkRequest.attributes) reader.message(readAttributeContext, headers);
  else reader.skip(tag);
}

function readAttributeContext(reader: WireReader, tag: number, headers: Headers): void {
  if (tag === TAG.attributeContext.request) reader.message(readRequest, headers);
  else reader.skip(tag);
}

function readRequest(reader: WireReader, tag: number, headers: Headers): void {
  if (tag === TAG.request.http) reader.message(readHttpRequest, headers);
  else reader.skip(tag);
}

function readHttpRequest(reader: WireReader, tag: number, headers: Headers): void {
  if (tag === TAG.httpRequest.headers) addHeader(reader, 'map entry', headers);
  else if (tag === TAG.httpRequest.headerMap) reader.message(readHeaderMap, headers);
  else reader.skip(tag);
}

function readHeaderMap(reader: WireReader, tag: number, headers: Headers): void {
  if (tag === TAG.headerMap.headers) addHeader(reader, 'HeaderValue', headers);
  else reader.skip(tag);
}

function addHeader(reader: WireReader, form: PairForm, headers: Headers): void {
  const pair = new Pair();
  readPair(reader, form, pair);
  const name = reader.latin1(pair.keyStart, pair.keyEnd).toLowerCase();
  const values = headers.get(name);
  if (values === undefined) headers.set(name, [reader.view(pair)]);
  else values.push(reader.view(pair));
}
