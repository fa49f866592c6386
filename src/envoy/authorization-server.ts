/** Owns the gRPC server that Envoy calls: Check, health, reflection. The only file that knows the gRPC library. */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { type ListenTarget, listen } from '../listener.ts';

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

export interface AuthorizationServerOptions {
  /** Answers a CheckRequest message with a CheckResponse message. */
  readonly check: (message: Buffer, traceparent: string | undefined) => Buffer;
  /** A call has arrived; the function that it returns is called when it has ended. */
  readonly onStarted: () => () => void;
  /** A call was given up before it was looked at: by the client, or by its deadline. */
  readonly onCancelled: (cause: 'cancelled' | 'deadline') => void;
  /** A connection could not be accepted, as when the process is out of file descriptors. */
  readonly onListenerError: (error: Error) => void;
  readonly maxConnections: number;
  /** Concurrent calls per connection. */
  readonly maxConcurrentStreams: number;
  /** Largest CheckRequest in bytes; a larger one ends as RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
}

export interface AuthorizationServer {
  /** @returns the bound address, with the port that was found if 0 was asked for. */
  listen(target: ListenTarget, socketMode: number): Promise<ListenTarget>;
  /** What health checks answer for the whole server (`""`) and for the Authorization service. */
  setServing(isServing: boolean): void;
  /** Takes no new connection, sends GOAWAY on the others, and waits for calls in flight until `graceMs` have passed. */
  shutdown(graceMs: number): Promise<void>;
}

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const server = new Server({
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.enable_channelz': 0,
  });
  const definition = loadSync('envoy/service/auth/v3/external_auth.proto', { includeDirs: [PROTO_FOLDER] });
  server.addService(rawService(definition[AUTHORIZATION_SERVICE] as ServiceDefinition), {
    Check: createCheckHandler(options),
  });
  const health = new HealthImplementation({ '': 'NOT_SERVING', [AUTHORIZATION_SERVICE]: 'NOT_SERVING' });
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener: NetServer = createServer({ noDelay: true }, (socket: Socket) => {
    injector.injectConnection(socket);
  });
  listener.maxConnections = options.maxConnections;

  return {
    async listen(target, socketMode) {
      const bound = await listen(listener, target, socketMode);
      listener.on('error', options.onListenerError);
      return bound;
    },

    setServing(isServing) {
      const state = isServing ? 'SERVING' : 'NOT_SERVING';
      health.setStatus('', state);
      health.setStatus(AUTHORIZATION_SERVICE, state);
    },

    async shutdown(graceMs) {
      listener.close();
      const timer = setTimeout(() => server.forceShutdown(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(timer);
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

function createCheckHandler({ check, onStarted, onCancelled }: AuthorizationServerOptions) {
  return (call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>): void => {
    // grpc-js emits `cancelled` at the end of every call, whether it was cancelled or not.
    call.once('cancelled', onStarted());
    if (call.cancelled) {
      onCancelled('cancelled');
      return;
    }
    if (Number(call.getDeadline()) <= Date.now()) {
      // Envoy has given up already; an answer would be work for nobody.
      onCancelled('deadline');
      respond({ code: status.DEADLINE_EXCEEDED, details: 'the deadline had passed before the check began' });
      return;
    }
    respond(null, check(call.request, traceparentOf(call)));
  };
}

/** W3C Trace Context, which Envoy adds to the call where it traces. */
function traceparentOf(call: ServerUnaryCall<Buffer, Buffer>): string | undefined {
  return call.metadata.get('traceparent')[0]?.toString();
}
