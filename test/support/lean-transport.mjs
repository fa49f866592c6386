/** Loaded into a service with `--import`: has it use the lean transport, whatever its configuration names. */
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

// Node loads this file a second time in the thread of the hooks.
if (isMainThread) register(import.meta.url);

const GRPC_JS = '/dist/grpc/grpc-js-transport.js';
const REPLACEMENT = 'export { createLeanTransport as createGrpcJsTransport } from "./lean-transport.js";';

/**
 * A hook of node:module.
 * @type {import('node:module').LoadHook}
 */
export async function load(url, context, next) {
  if (!url.endsWith(GRPC_JS)) return next(url, context);
  return { format: 'module', source: REPLACEMENT, shortCircuit: true };
}
