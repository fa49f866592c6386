/** The public API of unary-grpc. */
export type { CallEnd, CallInfo, Methods, Result, UnaryMethod } from './grpc/method.ts';
export { type Failure, STATUS, type StatusName } from './grpc/status.ts';
export type { UnaryServerOptions } from './options.ts';
export { createUnaryServer, type UnaryServer } from './server.ts';
