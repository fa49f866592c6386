/** The baseline of the benchmark: a grpc-js server that answers every Check with the same bytes. */
import { Server, ServerCredentials } from '@grpc/grpc-js';

/** CheckResponse { status { code: 0 } ok_response {} } */
const ANSWER = Buffer.from([0x0a, 0x02, 0x08, 0x00, 0x1a, 0x00]);
/** @param {Buffer} bytes */
const asIs = (bytes) => bytes;

const server = new Server({ 'grpc.max_concurrent_streams': 4096, 'grpc.enable_channelz': 0 });
server.addService(
  {
    Check: {
      path: '/envoy.service.auth.v3.Authorization/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  },
  { Check: (/** @type {unknown} */ _call, /** @type {any} */ respond) => respond(null, ANSWER) },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => {
  process.stdout.write(`${JSON.stringify({ grpc: `127.0.0.1:${port}`, msg: 'serving' })}\n`);
});
