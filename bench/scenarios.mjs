/** Lists what is sent to the servers, and over how many connections. */

/**
 * The configuration that a scenario needs of the service: YAML.
 * @type {Readonly<Record<string, (accountKeyFile: string) => string>>}
 */
export const SERVICE_CONFIGS = {
  plain: () => '',
  bound: () => 'policies: {default: {binding: {headers: [authorization], when: required}}}\n',
  'signed-install': () => signedConfig('install: required'),
  'signed-account': (accountKeyFile) =>
    `messageSigningKeys: [{id: account, mskid: j3AWy6, secretFile: "${accountKeyFile}"}]\n` +
    signedConfig('install: off, account: required'),
};

/** @param {string} section */
function signedConfig(section) {
  return `policies: {default: {messageSignature: {externalScheme: https, maxAgeSeconds: 86400, ${section}}}}\n`;
}

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} label
 * @property {string} messages which of workload.mjs
 * @property {keyof typeof SERVICE_CONFIGS & string} config
 * @property {number} connections to a server
 * @property {number} [inFlight] concurrent calls over all connections
 * @property {boolean} [throughEnvoy]
 */

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  { id: 'hot', label: 'hot token', messages: 'hot', config: 'plain', connections: 2, throughEnvoy: true },
  {
    id: 'distinct',
    label: '5,000 tokens',
    messages: 'distinct',
    config: 'plain',
    connections: 2,
    throughEnvoy: true,
  },
  {
    id: 'refused',
    label: '50 % refused',
    messages: 'refused',
    config: 'plain',
    connections: 2,
    throughEnvoy: true,
  },
  {
    ...{ id: 'all-refused', label: '100 % refused', messages: 'all-refused' },
    ...{ config: 'plain', connections: 2 },
  },
  {
    id: 'bound',
    label: 'bound token',
    messages: 'bound',
    config: 'bound',
    connections: 2,
    throughEnvoy: true,
  },
  {
    ...{ id: 'signed-install', label: 'signed, ES256', messages: 'signed-install' },
    ...{ config: 'signed-install', connections: 2, throughEnvoy: true },
  },
  {
    ...{ id: 'signed-account', label: 'signed, HMAC', messages: 'signed-account' },
    ...{ config: 'signed-account', connections: 2, throughEnvoy: true },
  },
  { id: 'hot-1', label: 'hot token, 1 connection', messages: 'hot', config: 'plain', connections: 1 },
  { id: 'hot-100', label: 'hot token, 100 connections', messages: 'hot', config: 'plain', connections: 100 },
  {
    ...{ id: 'hot-100-busy', label: 'hot token, 100 connections of 20 calls', messages: 'hot' },
    ...{ config: 'plain', connections: 100, inFlight: 2000 },
  },
];
