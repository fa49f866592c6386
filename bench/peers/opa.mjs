/** Runs OPA-Envoy, if it is installed, with a policy that verifies tokens. */

import { once } from 'node:events';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRETS } from '../tokens.mjs';

const POLICY = fileURLToPath(new URL('policy.rego', import.meta.url));
/** As built from its source, and as released. */
const PROGRAMS = ['opa-envoy-plugin', 'opa_envoy_linux_amd64', 'opa_envoy_linux_arm64'];

/** @returns {Promise<import('../subjects.mjs').Prepared>} */
export async function prepareOpa() {
  const program = await findProgram();
  if (program === undefined) return { kind: 'unavailable', why: `none of ${PROGRAMS.join(', ')} is on PATH` };
  const port = await freePort();
  const settings = [
    `plugins.envoy_ext_authz_grpc.addr=127.0.0.1:${port}`,
    'plugins.envoy_ext_authz_grpc.path=approov/answer',
  ];
  const args = ['run', '--server', '--addr', '127.0.0.1:0', '--log-level', 'error'];
  for (const setting of settings) args.push('--set', setting);
  const env = { BENCH_TOKEN_SECRET: SECRETS.token.toString(), GOMAXPROCS: '1' };
  return { kind: 'ready', command: () => ({ program, args: [...args, POLICY], env, port }) };
}

/** @returns {Promise<string | undefined>} */
async function findProgram() {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of PROGRAMS) {
      const candidate = join(folder, name);
      const found = await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return candidate;
    }
  }
  return undefined;
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}
