/** Names the fields of Envoy's CheckRequest that are read, and reads its pairs of names and values. */
import { type KeySpan, lengthDelimited, NO_TAG, type Span, type WireReader } from './wire.ts';

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
export class Pair implements KeySpan, Span {
  keyStart = 0;
  keyEnd = 0;
  start = 0;
  end = 0;

  clear(): void {
    this.keyStart = 0;
    this.keyEnd = 0;
    this.start = 0;
    this.end = 0;
  }
}

export type PairForm = 'map entry' | 'HeaderValue';

/** Reads the pair whose tag was just read. */
export function readPair(reader: WireReader, form: PairForm, pair: Pair): void {
  const valueTag = form === 'HeaderValue' ? TAG.pair.rawValue : TAG.pair.value;
  if (reader.plainPair(TAG.pair.key, valueTag, pair)) return;
  const outerEnd = reader.enter();
  for (let tag = reader.nextTag(); tag !== NO_TAG; tag = reader.nextTag()) {
    if (tag === TAG.pair.key) reader.markKey(pair);
    else if (tag === TAG.pair.value) reader.mark(pair);
    else if (tag === TAG.pair.rawValue && form === 'HeaderValue') reader.mark(pair);
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}
