/** The public API of unary-grpc. */
export { MAX_FRAME_BYTES } from './limits.ts';
