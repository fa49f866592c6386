/** The transport that the tests of processes start the service with: `APPROOV_TEST_TRANSPORT`, or the default. */
import { fileURLToPath } from 'node:url';

export const TRANSPORT = process.env['APPROOV_TEST_TRANSPORT'] ?? 'grpc-js';

const LEAN = fileURLToPath(new URL('lean-transport.mjs', import.meta.url));

/** Options of Node that come before the script. Worker processes inherit them. */
export const NODE_OPTIONS: readonly string[] = TRANSPORT === 'lean' ? ['--import', LEAN] : [];

/** Why a test of reflection or of health `Watch` is skipped: the contract allows the lean transport to lack them. */
export const HAS_STREAMING = TRANSPORT === 'grpc-js';
