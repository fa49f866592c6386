/** Lists the servers that are compared, and how to start each. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageNodeOptions } from '../scripts/image.mjs';
import { buildGoPeer } from './peers/go-build.mjs';
import { prepareOpa } from './peers/opa.mjs';
import { SERVICE_CONFIGS } from './scenarios.mjs';
import { SECRETS } from './tokens.mjs';
import { answerBytes } from './workload.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** @typedef {import('./servers.mjs').ServerCommand} ServerCommand */

/**
 * @typedef {object} Surroundings
 * @property {string} node the Node binary of the servers in Node
 * @property {string} folder for configuration files
 */

/**
 * @typedef {object} Subject
 * @property {string} id
 * @property {string} label
 * @property {'service' | 'peer' | 'empty'} kind a peer knows one configuration; an empty server allows every request
 * @property {(surroundings: Surroundings) => Promise<Prepared>} prepare
 */

/** @typedef {{ kind: 'ready', command: (config: string) => ServerCommand }} Ready */
/** @typedef {{ kind: 'unavailable', why: string }} Unavailable */
/** @typedef {Ready | Unavailable} Prepared */

/** The transports of the service; one that the build does not have is not measured. */
const TRANSPORTS = ['grpc-js', 'lean'];

const SECRET_VARIABLE = { APPROOV_BASE64_SECRET: SECRETS.token.toString('base64') };

/** @type {readonly Subject[]} */
export const SUBJECTS = [
  ...TRANSPORTS.map(
    (transport) =>
      /** @type {const} */ ({
        id: `ours-${transport}`,
        label: `this service, ${transport}`,
        kind: 'service',
        prepare: async (/** @type {Surroundings} */ surroundings) => prepareService(transport, surroundings),
      }),
  ),
  {
    id: 'empty',
    label: 'empty grpc-js handler',
    kind: 'empty',
    prepare: async ({ node }) => nodePeer(node, 'empty'),
  },
  {
    id: 'socket',
    label: 'plain socket, no check',
    kind: 'empty',
    prepare: async ({ node }) => nodePeer(node, 'socket', { ANSWER: answerBytes().toString('base64') }),
  },
  { id: 'naive', label: 'naive Node', kind: 'peer', prepare: async ({ node }) => nodePeer(node, 'naive') },
  { id: 'go', label: 'lean Go', kind: 'peer', prepare: prepareGo },
  { id: 'opa', label: 'OPA-Envoy', kind: 'peer', prepare: prepareOpa },
];

/**
 * @param {string} transport
 * @param {Surroundings} surroundings
 * @returns {Prepared}
 */
function prepareService(transport, { node, folder }) {
  const known = knownTransports();
  if (!known.includes(transport))
    return { kind: 'unavailable', why: `this build has no listen.transport: ${transport}` };
  const accountKeyFile = join(folder, 'account-key');
  writeFileSync(accountKeyFile, SECRETS.account.toString('base64'));
  // Instances end before any connection ages.
  const shared = `connection: {maxAgeSeconds: 0}\n${known.length > 1 ? `listen: {transport: ${transport}}\n` : ''}`;
  return {
    kind: 'ready',
    command(config) {
      const file = join(folder, `${transport}-${config}.yaml`);
      writeFileSync(file, shared + SERVICE_CONFIGS[config]?.(accountKeyFile));
      return {
        program: node,
        args: [...imageNodeOptions(), join(ROOT, 'dist/cli.js'), '--config', file],
        env: { ...SECRET_VARIABLE, APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' },
      };
    },
  };
}

/** @returns {readonly string[]} */
function knownTransports() {
  const schema = JSON.parse(readFileSync(join(ROOT, 'config.schema.json'), 'utf8'));
  return schema.properties.listen.properties.transport?.enum ?? ['grpc-js'];
}

/**
 * @param {string} node
 * @param {string} name
 * @param {Readonly<Record<string, string>>} [env]
 * @returns {Prepared}
 */
function nodePeer(node, name, env = SECRET_VARIABLE) {
  // The same options as for the service.
  const args = [...imageNodeOptions(), join(ROOT, `bench/peers/${name}.mjs`)];
  return { kind: 'ready', command: () => ({ program: node, args, env }) };
}

/** @returns {Promise<Prepared>} */
async function prepareGo() {
  const built = await buildGoPeer();
  if (built.kind === 'unavailable') return built;
  // One process of the service uses one core as well.
  const env = { ...SECRET_VARIABLE, GOMAXPROCS: '1' };
  return { kind: 'ready', command: () => ({ program: built.program, args: [], env }) };
}
