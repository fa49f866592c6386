/** Names the fields of Envoy's CheckRequest that are read, and reads its pairs of names and values. */
import { lengthDelimited, type Span, type WireReader } from './wire.ts';

/** Tags of the fields that are read; numbers as in proto/. */
export const TAG = {
  checkRequest: { attributes: lengthDelimited(1) },
  attributeContext: {
    source: lengthDelimited(1),
    request: lengthDelimited(4),
    contextExtensions: lengthDelimited(10),
  },
  peer: { address: lengthDelimited(1) },
  address: { socketAddress: lengthDelimited(1), pipe: lengthDelimited(2) },
  socketAddress: { address: lengthDelimited(2) },
  pipe: { path: lengthDelimited(1) },
  request: { http: lengthDelimited(2) },
  httpRequest: {
    id: lengthDelimited(1),
    method: lengthDelimited(2),
    headers: lengthDelimited(3),
    path: lengthDelimited(4),
    host: lengthDelimited(5),
    body: lengthDelimited(11),
    rawBody: lengthDelimited(12),
    headerMap: lengthDelimited(13),
  },
  headerMap: { headers: lengthDelimited(1) },
  pair: { key: lengthDelimited(1), value: lengthDelimited(2), rawValue: lengthDelimited(3) },
} as const;

/** Where a map entry or a HeaderValue has its key and its value: `value` or `raw_value`, of which Envoy sends one. */
export class Pair implements Span {
  keyStart = 0;
  keyEnd = 0;
  start = 0;
  end = 0;

  clear(): this {
    this.keyStart = 0;
    this.keyEnd = 0;
    this.start = 0;
    this.end = 0;
    return this;
  }
}

export function readMapEntry(reader: WireReader, tag: number, pair: Pair): void {
  if (tag === TAG.pair.key) reader.markKey(pair);
  else if (tag === TAG.pair.value) reader.mark(pair);
  else reader.skip(tag);
}

export function readHeaderValue(reader: WireReader, tag: number, pair: Pair): void {
  if (tag === TAG.pair.rawValue) reader.mark(pair);
  else readMapEntry(reader, tag, pair);
}
