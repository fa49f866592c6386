/** A naive Node server, as a peer of the benchmark: a straightforward first implementation with grpc-js and jose. */
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, Server, ServerCredentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { jwtVerify } from 'jose';
import { allowed, DENIED } from './answers.mjs';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));
const secret = Buffer.from(process.env['APPROOV_BASE64_SECRET'] ?? '', 'base64');

const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
  keepCase: true,
  includeDirs: [PROTO_FOLDER],
});
const { envoy } = /** @type {any} */ (loadPackageDefinition(definition));

/** @param {any} http the request as Envoy describes it */
function tokenOf(http) {
  const raw = http.header_map?.headers.find((/** @type {any} */ { key }) => key === 'approov-token');
  return raw?.raw_value.toString() ?? http.headers['approov-token'];
}

/** @param {any} call @param {any} respond */
async function check(call, respond) {
  try {
    const token = tokenOf(call.request.attributes.request.http);
    const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'], requiredClaims: ['exp'] });
    respond(null, allowed(payload));
  } catch {
    respond(null, DENIED);
  }
}

const server = new Server();
server.addService(envoy.service.auth.v3.Authorization.service, { Check: check });
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => {
  process.stdout.write(`${JSON.stringify({ grpc: `127.0.0.1:${port}`, msg: 'serving' })}\n`);
});
