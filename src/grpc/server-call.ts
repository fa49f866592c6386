/** What grpc-js passes to an interceptor: the call on the side of the network. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServerInterceptor, status } from '@grpc/grpc-js';

/** Node's own limit for a header block; calls above it do not reach grpc-js. */
const NODE_MAX_HEADER_BYTES = 65_535;

export type ServerCall = Parameters<ServerInterceptor>[1];
export type CallListener = Parameters<ServerCall['start']>[0];

/** grpc-js passes interceptors the call itself, which keeps its stream in this field. */
export function streamOf(call: ServerCall): ServerHttp2Stream {
  return (call as unknown as { readonly stream: ServerHttp2Stream }).stream;
}

/** Also resets the stream: the part of the message that has arrived is kept until the stream is closed. */
export function endIncompleteCall(call: ServerCall): void {
  call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'message not received in time' });
  streamOf(call).close(constants.NGHTTP2_CANCEL);
}

/** A server that rejects an encoding says which ones it accepts (gRPC compression guide). */
const ACCEPTED_ENCODINGS = new Metadata();
ACCEPTED_ENCODINGS.set('grpc-accept-encoding', 'identity');

/** @returns whether the call was rejected. Nothing of its message has been read then. */
export function rejectByHeaders(call: ServerCall, metadata: Metadata, maxMetadataBytes: number): boolean {
  if (isCompressed(call)) {
    const details = 'unsupported grpc-encoding; only identity is accepted';
    call.sendStatus({ code: status.UNIMPLEMENTED, details, metadata: ACCEPTED_ENCODINGS });
    return true;
  }
  // Checked before the message arrives: calls held open without a message hold their headers as well.
  if (isOverLimit(metadata, maxMetadataBytes)) {
    const details = `headers exceed ${maxMetadataBytes} bytes`;
    call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details });
    return true;
  }
  return false;
}

/**
 * Compressed messages are never decompressed: 150 messages of 4 KB could expand to 1 GiB, and Envoy does not compress
 * checks. grpc-js removes `grpc-encoding` from the metadata but keeps its value in this field.
 */
function isCompressed(call: ServerCall): boolean {
  return (call as { readonly incomingEncoding?: unknown }).incomingEncoding !== 'identity';
}

/** RFC 9113 §6.5.2 defines the size: 32 bytes of overhead for each field on top of name and value. */
function isOverLimit(metadata: Metadata, maxMetadataBytes: number): boolean {
  if (maxMetadataBytes >= NODE_MAX_HEADER_BYTES) return false;
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) bytes += name.length + value.length + 32;
  }
  return bytes > maxMetadataBytes;
}
