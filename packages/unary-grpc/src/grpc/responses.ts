/** The header blocks of responses (gRPC over HTTP/2). They are the same on every connection. */
import { encodeFields, type Field } from '../hpack/encoder.ts';
import type { Response } from '../http2/sender.ts';
import { percentEncode } from './percent.ts';
import { type Failure, STATUS } from './status.ts';

const HEAD: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];

/** They precede a message. */
export const RESPONSE_HEADERS = encodeFields(HEAD);
/** They follow a message. */
export const OK_TRAILERS = encodeFields([['grpc-status', String(STATUS.OK)]]);

/** A Trailers-Only response. */
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
export function httpError(status: 405 | 415, text: string, ...fields: readonly Field[]): Response {
  const head = encodeFields([[':status', String(status)], ['content-type', 'text/plain'], ...fields]);
  return { head, prefix: NOTHING, body: Buffer.from(`${text}\n`), trailers: undefined };
}
