/** Owns the gRPC server that Envoy calls: Check, health, reflection. */
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition, setLogger, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { type AcceptorOptions, createAcceptor } from '../net/acceptor.ts';
import type { ListenTarget } from '../net/listener.ts';
import type { TlsMaterial } from '../net/tls-material.ts';
import { type CallObserver, createInterceptor, type NextCall } from './call-interceptor.ts';
import { type CheckCallOptions, createCheckHandler } from './check-call.ts';
import { fixDescriptors } from './reflection.ts';

const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';
const CHECK_PATH = `/${AUTHORIZATION_SERVICE}/Check`;
/** Fields by the names that the files give them, as reflection tells them. */
const LOAD = { keepCase: true };
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/** A peer that is silent for so long is asked by a PING whether it is still there, and let go if it is not. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** What node:http2 may keep for one connection: its own default, which grpc-js takes away. */
const MAX_SESSION_MEGABYTES = 10;
/** For calls in flight on a connection that has reached its age. */
const CONNECTION_AGE_GRACE_MS = 10_000;

// By itself grpc-js writes to stderr, and with GRPC_TRACE in the environment every header of a call.
setLogger({});

export interface AuthorizationServerOptions
  extends Omit<AcceptorOptions, 'onConnection'>,
    CheckCallOptions,
    CallObserver {
  /** Concurrent calls per connection. */
  readonly maxConcurrentStreams: number;
  /** A connection is closed by GOAWAY after about so long (±10 %), so that load spreads to new instances; 0: never. */
  readonly maxConnectionAgeSeconds: number;
  /** Largest CheckRequest in bytes; a larger one ends as RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
}

export interface AuthorizationServer {
  /** @returns the bound address, with the port that was found if 0 was asked for. */
  listen(target: ListenTarget): Promise<ListenTarget>;
  /** What health checks answer for the whole server (`""`) and for the Authorization service. */
  setServing(isServing: boolean): void;
  /** New connections get this certificate; those that are open keep theirs. */
  useTls(tls: TlsMaterial): void;
  /** Takes no new connection, sends GOAWAY on the others, and waits for calls in flight until `graceMs` have passed. */
  shutdown(graceMs: number): Promise<void>;
}

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const otherCalls = new Set<NextCall>();
  const server = new Server({
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc-node.max_session_memory': MAX_SESSION_MEGABYTES,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    ...(options.maxConnectionAgeSeconds === 0
      ? {}
      : {
          'grpc.max_connection_age_ms': options.maxConnectionAgeSeconds * 1000,
          'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
        }),
    'grpc.enable_channelz': 0,
    interceptors: [createInterceptor(CHECK_PATH, options, otherCalls)],
  });
  const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
    ...LOAD,
    includeDirs: [PROTO_FOLDER],
  });
  server.addService(rawService(definition[AUTHORIZATION_SERVICE] as ServiceDefinition), {
    Check: createCheckHandler(options),
  });
  const health = new HealthImplementation({ '': 'NOT_SERVING', [AUTHORIZATION_SERVICE]: 'NOT_SERVING' });
  health.addToServer(server);
  new ReflectionService(fixDescriptors({ ...definition, ...loadSync(healthProto, LOAD) })).addToServer(
    server,
  );

  // Connections are accepted by us and handed over, so that their number, the socket's mode and TLS are ours to rule.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const acceptor = createAcceptor({
    ...options,
    onConnection: (socket) => injector.injectConnection(socket),
  });

  return {
    listen: acceptor.listen,

    setServing(isServing) {
      const state = isServing ? 'SERVING' : 'NOT_SERVING';
      health.setStatus('', state);
      health.setStatus(AUTHORIZATION_SERVICE, state);
    },

    useTls: acceptor.useTls,

    async shutdown(graceMs) {
      // A drain waits for every call, and streams of health and reflection never end by themselves.
      for (const call of otherCalls)
        call.sendStatus({ code: status.UNAVAILABLE, details: 'the server shuts down' });
      // Not by `forceShutdown`: without channelz, grpc-js 1.14 closes no connection by it.
      const closed = acceptor.close(graceMs);
      // Its callback is no sign of the end: from Node 24 on it comes while calls are still in flight.
      server.tryShutdown(() => undefined);
      await closed;
    },
  };
}

/** Messages stay bytes: reading and writing them is the codec's, so that no odd message ends as an RPC error. */
function rawService(service: ServiceDefinition): ServiceDefinition {
  const asIs = (bytes: Buffer): Buffer => bytes;
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      {
        ...method,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    ]),
  );
}
