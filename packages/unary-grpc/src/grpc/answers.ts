/** The header blocks of answers (gRPC over HTTP/2: "Responses"). They are the same on every connection. */
import { encodeFields, type Field } from '../hpack/encoder.ts';
import type { Answer } from '../http2/sender.ts';
import { percentEncode } from './percent.ts';
import { type Failure, STATUS } from './status.ts';

const HEAD: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];

/** Before a message. */
export const RESPONSE_HEADERS = encodeFields(HEAD);
/** After it. */
export const OK_TRAILERS = encodeFields([['grpc-status', String(STATUS.OK)]]);

/** "Trailers-Only". */
export function failureBlock({ status, details }: Failure, ...fields: readonly Field[]): Buffer {
  return encodeFields([
    ...HEAD,
    ['grpc-status', String(STATUS[status])],
    ['grpc-message', percentEncode(details)],
    ...fields,
  ]);
}

const NOTHING = Buffer.alloc(0);

/** For a request that is not gRPC. */
export function httpError(status: 405 | 415, text: string, ...fields: readonly Field[]): Answer {
  const head = encodeFields([[':status', String(status)], ['content-type', 'text/plain'], ...fields]);
  return { head, prefix: NOTHING, body: Buffer.from(`${text}\n`), trailers: undefined };
}
