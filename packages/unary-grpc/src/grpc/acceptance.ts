/** Decides by its headers whether a request is a call, and whether the call is accepted (gRPC over HTTP/2: "Requests"). */
import type { RequestFields } from '../http2/request-fields.ts';
import type { Response } from '../http2/sender.ts';
import { MAX_HEADER_FIELDS } from '../limits.ts';
import { failureBlock, httpError } from './responses.ts';
import { parseTimeout } from './timeout.ts';

/** The headers that gRPC itself needs, before those that handlers read. */
export const GRPC_HEADERS = ['content-type', 'grpc-encoding', 'grpc-timeout'] as const;
const CONTENT_TYPE = 0;
const ENCODING = 1;
const TIMEOUT = 2;

/** With a suffix for the format of messages, or with parameters. */
const GRPC_CONTENT_TYPE = /^application\/grpc(?:$|[+;])/;

const NOT_POST = httpError(405, 'gRPC calls are POST requests', ['allow', 'POST']);
const NOT_GRPC = httpError(415, 'the content-type of gRPC calls is application/grpc');

const COMPRESSED = failureBlock(
  { status: 'UNIMPLEMENTED', details: 'unsupported grpc-encoding; only identity is accepted' },
  ['grpc-accept-encoding', 'identity'],
);
export const UNKNOWN_METHOD = failureBlock({ status: 'UNIMPLEMENTED', details: 'unknown method' });
const BAD_TIMEOUT = failureBlock({ status: 'INTERNAL', details: 'invalid grpc-timeout' });

/** @returns the response to a request that is not gRPC. */
export function httpErrorOf(fields: RequestFields): Response | undefined {
  // Of a list that is too large only the beginning has been read.
  if (fields.isTooLarge) return undefined;
  if (fields.method !== 'POST') return NOT_POST;
  const contentType = fields.value(CONTENT_TYPE) ?? '';
  const isGrpc = contentType === 'application/grpc' || GRPC_CONTENT_TYPE.test(contentType);
  return isGrpc ? undefined : NOT_GRPC;
}

/** @returns the response to a call that is not accepted, whatever its method. */
export function refusalOf(fields: RequestFields, maxHeaderListBytes: number): Buffer | undefined {
  if (fields.isTooLarge) {
    const details = `headers exceed ${maxHeaderListBytes} bytes or ${MAX_HEADER_FIELDS} fields`;
    return failureBlock({ status: 'RESOURCE_EXHAUSTED', details });
  }
  const encoding = fields.value(ENCODING);
  if (encoding !== undefined && encoding !== 'identity') return COMPRESSED;
  return timeoutOf(fields) === undefined ? BAD_TIMEOUT : undefined;
}

/** In milliseconds. `Infinity` if there is none, `undefined` if it is not valid. */
export function timeoutOf(fields: RequestFields): number | undefined {
  const value = fields.value(TIMEOUT);
  return value === undefined ? Number.POSITIVE_INFINITY : parseTimeout(value);
}
