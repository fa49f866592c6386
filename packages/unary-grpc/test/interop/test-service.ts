/** The unary methods of `grpc.testing.TestService`, against which gRPC libraries test that they work together. */
import protobuf from 'protobufjs';
import { type Methods, STATUS, type StatusName, type UnaryMethod } from '../../src/index.ts';

/** The fields of grpc/testing/messages.proto that the unary tests use. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Payload { int32 type = 1; bytes body = 2; }
  message EchoStatus { int32 code = 1; string message = 2; }
  message SimpleRequest {
    int32 response_size = 2;
    EchoStatus response_status = 7;
    bool fill_server_id = 9;
  }
  message SimpleResponse { Payload payload = 1; string server_id = 4; }
`);
const SimpleRequest = root.lookupType('SimpleRequest');
const SimpleResponse = root.lookupType('SimpleResponse');

interface Request {
  readonly responseSize: number;
  readonly responseStatus: { readonly code: number; readonly message: string } | null;
  readonly fillServerId: boolean;
}

const unaryCall: UnaryMethod['handle'] = (bytes) => {
  const request = SimpleRequest.decode(bytes) as unknown as Request;
  const { responseSize, responseStatus, fillServerId } = request;
  const status = statusName(responseStatus?.code ?? STATUS.OK);
  if (status !== 'OK') return { status, details: responseStatus?.message ?? '' };
  const response = {
    payload: { body: Buffer.alloc(responseSize) },
    ...(fillServerId ? { serverId: 'unary-grpc' } : {}),
  };
  return Buffer.from(SimpleResponse.encode(response).finish());
};

function statusName(code: number): StatusName {
  const name = (Object.keys(STATUS) as StatusName[]).find((each) => STATUS[each] === code);
  return name ?? 'UNKNOWN';
}

/** All other methods, and `UnimplementedService`, get UNIMPLEMENTED. */
export const TEST_SERVICE: Methods = new Map<string, UnaryMethod>([
  ['/grpc.testing.TestService/EmptyCall', { handle: () => Buffer.alloc(0) }],
  ['/grpc.testing.TestService/UnaryCall', { handle: unaryCall }],
]);
