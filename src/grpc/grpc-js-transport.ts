/** Implements the transport with grpc-js: Check, health and reflection. */
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition, setLogger } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { createHttp2Listener, KEEPALIVE } from '../net/http2-listener.ts';
import { createCallInterceptor } from './call-interceptor.ts';
import { createMessageTimeout } from './message-timeout.ts';
import { OtherCalls } from './other-calls.ts';
import { fixDescriptors } from './reflection.ts';
import { endIncompleteCall } from './server-call.ts';
import { createTrafficLimits } from './traffic-limits.ts';
import {
  AUTHORIZATION_SERVICE,
  CONNECTION_AGE_GRACE_MS,
  type CreateTransport,
  type TransportOptions,
} from './transport.ts';

/** Reflection must report fields under their names in the .proto files, not in camel case. */
const LOAD_OPTIONS = { keepCase: true };
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/** The node:http2 default for one connection (`maxSessionMemory`), which grpc-js raises to no limit. */
const MAX_SESSION_MEGABYTES = 10;

// By default grpc-js logs to stderr and, if GRPC_TRACE is set, every header of a call.
setLogger({});

export const createGrpcJsTransport: CreateTransport = (options) => {
  const otherCalls = new OtherCalls();
  const traffic = createTrafficLimits();
  const messageTimeout = createMessageTimeout(endIncompleteCall);
  const server = new Server({
    ...channelOptions(options),
    interceptors: [createCallInterceptor({ ...options, traffic, messageTimeout, otherCalls })],
  });
  const health = addServices(server);

  // grpc-js is given accepted connections instead of an address: connection limits, TLS and socket mode are ours.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createHttp2Listener({
    ...options,
    onConnection(socket) {
      traffic.watch(socket);
      injector.injectConnection(socket);
    },
  });

  return {
    listen: listener.listen,

    setServing(isServing) {
      const state = isServing ? 'SERVING' : 'NOT_SERVING';
      health.setStatus('', state);
      health.setStatus(AUTHORIZATION_SERVICE, state);
    },

    useTls: listener.useTls,

    async shutdown(graceMs) {
      // A drain waits for every call.
      otherCalls.shutDown();
      // `forceShutdown` would not do: without channelz, grpc-js 1.14 does not close connections.
      const closed = listener.close(graceMs);
      // Its callback does not mean done: from Node 24 on it is called while calls are still in flight.
      server.tryShutdown(() => undefined);
      await closed;
      traffic.stop();
      messageTimeout.stop();
    },
  };
};

function channelOptions({
  maxConcurrentStreams,
  maxMessageBytes,
  maxConnectionAgeSeconds,
}: TransportOptions) {
  const age = {
    'grpc.max_connection_age_ms': maxConnectionAgeSeconds * 1000,
    'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
  };
  return {
    'grpc.max_concurrent_streams': maxConcurrentStreams,
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc-node.max_session_memory': MAX_SESSION_MEGABYTES,
    'grpc.keepalive_time_ms': KEEPALIVE.intervalMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE.timeoutMs,
    ...(maxConnectionAgeSeconds === 0 ? {} : age),
    'grpc.enable_channelz': 0,
  };
}

function addServices(server: Server): HealthImplementation {
  const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
    ...LOAD_OPTIONS,
    includeDirs: [PROTO_FOLDER],
  });
  // The interceptor answers every check, so that this handler is not called; grpc-js requires one for a known method.
  server.addService(withRawMessages(serviceOf(definition)), { Check: () => undefined });
  const health = new HealthImplementation({ '': 'NOT_SERVING', [AUTHORIZATION_SERVICE]: 'NOT_SERVING' });
  health.addToServer(server);
  const described = { ...definition, ...loadSync(healthProto, LOAD_OPTIONS) };
  new ReflectionService(fixDescriptors(described)).addToServer(server);
  return health;
}

function serviceOf(definition: PackageDefinition): ServiceDefinition {
  return definition[AUTHORIZATION_SERVICE] as ServiceDefinition;
}

/** Messages stay bytes: our codec reads them, so that a malformed message gets a decision instead of an RPC error. */
function withRawMessages(service: ServiceDefinition): ServiceDefinition {
  const identity = (bytes: Buffer): Buffer => bytes;
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      {
        ...method,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    ]),
  );
}
