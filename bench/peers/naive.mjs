/** A naive Node server, as a peer of the benchmark: what an engineer writes on the first day, with grpc-js and jose. */
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, Server, ServerCredentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { jwtVerify } from 'jose';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));
const secret = Buffer.from(process.env['APPROOV_BASE64_SECRET'] ?? '', 'base64');

const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
  keepCase: true,
  includeDirs: [PROTO_FOLDER],
});
const { envoy } = /** @type {any} */ (loadPackageDefinition(definition));

/** @param {string} name @param {string} value */
const overwrite = (name, value) => ({
  header: { key: name, value },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
});

/** @param {Record<string, string>} entries */
const struct = (entries) => ({
  fields: Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, { stringValue: value }])),
});

/** @param {any} http the request as Envoy describes it */
function tokenOf(http) {
  const raw = http.header_map?.headers.find((/** @type {any} */ { key }) => key === 'approov-token');
  return raw?.raw_value.toString() ?? http.headers['approov-token'];
}

/** @param {import('jose').JWTPayload} claims */
function allowed(claims) {
  return {
    status: { code: 0 },
    ok_response: {
      headers: [overwrite('x-approov-verdict', 'verified'), overwrite('x-approov-action', 'allow')],
      headers_to_remove: ['reason', 'did', 'ip', 'arc', 'iss', 'aud', 'sub'].map(
        (name) => `x-approov-${name}`,
      ),
    },
    dynamic_metadata: struct({
      approov_verdict: 'verified',
      approov_action: 'allow',
      approov_reason: 'ok',
      approov_policy: 'default',
      approov_mode: 'enforce',
      approov_key_id: 'env',
      approov_did: String(claims['did'] ?? ''),
    }),
  };
}

const DENIED = {
  status: { code: 16 },
  denied_response: {
    status: { code: 401 },
    headers: [
      overwrite('content-type', 'application/json'),
      overwrite('cache-control', 'no-store'),
      overwrite('www-authenticate', 'Approov'),
    ],
    body: '{}',
  },
  dynamic_metadata: struct({
    approov_verdict: 'unverified',
    approov_action: 'deny',
    approov_reason: 'invalid_token_signature',
    approov_policy: 'default',
    approov_mode: 'enforce',
  }),
};

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
