/** Implements the transport with unary-grpc: Check and health checks. */
import { createUnaryServer, type Methods, type UnaryMethod } from 'unary-grpc';
import { createHttp2Listener, KEEPALIVE } from '../net/http2-listener.ts';
import {
  AUTHORIZATION_SERVICE,
  CHECK_PATH,
  CONNECTION_AGE_GRACE_MS,
  type CreateTransport,
  type TransportOptions,
} from './transport.ts';

const HEALTH_PATH = '/grpc.health.v1.Health/Check';

/** grpc.health.v1.HealthCheckResponse: field 1, `status`. */
const HEALTH_RESPONSE = { SERVING: Buffer.of(0x08, 1), NOT_SERVING: Buffer.of(0x08, 2) };
const UNKNOWN_SERVICE = { status: 'NOT_FOUND', details: 'unknown service' } as const;
const BAD_REQUEST = { status: 'INVALID_ARGUMENT', details: 'not a HealthCheckRequest' } as const;

export const createLeanTransport: CreateTransport = (options) => {
  let health: Buffer = HEALTH_RESPONSE.NOT_SERVING;
  const methods: Methods = new Map([
    [CHECK_PATH, checkMethod(options)],
    [HEALTH_PATH, { handle: (message) => healthOf(message, health) }],
  ]);
  const { maxConnectionAgeSeconds } = options;
  const server = createUnaryServer({
    methods,
    headers: ['traceparent'],
    maxConcurrentStreams: options.maxConcurrentStreams,
    maxMessageBytes: options.maxMessageBytes,
    maxHeaderListBytes: options.maxMetadataBytes,
    ...(maxConnectionAgeSeconds === 0 ? {} : { maxConnectionAgeMs: maxConnectionAgeSeconds * 1000 }),
    maxConnectionAgeGraceMs: CONNECTION_AGE_GRACE_MS,
    keepaliveIntervalMs: KEEPALIVE.intervalMs,
    keepaliveTimeoutMs: KEEPALIVE.timeoutMs,
    onConnectionError: options.onConnectionError,
  });
  const listener = createHttp2Listener({ ...options, onConnection: server.accept });

  return {
    listen: listener.listen,

    setServing(isServing) {
      health = HEALTH_RESPONSE[isServing ? 'SERVING' : 'NOT_SERVING'];
    },

    useTls: listener.useTls,

    async shutdown(graceMs) {
      await Promise.all([listener.close(graceMs), server.shutdown(graceMs)]);
    },
  };
};

function checkMethod({ check, onStarted, onAbandoned }: TransportOptions): UnaryMethod {
  return {
    handle: (message, call) =>
      check(message, { traceparent: call.header('traceparent'), deadlineMs: call.deadlineMs }),
    onStarted() {
      const onEnded = onStarted();
      return (end) => {
        onEnded();
        if (end !== 'answered') onAbandoned(end === 'deadline' ? 'deadline' : 'cancelled');
      };
    },
  };
}

/** grpc.health.v1.HealthCheckRequest has one field: 1, `service`. */
function healthOf(message: Buffer, health: Buffer) {
  if (message.length === 0) return health;
  const length = message[1] ?? 0;
  if (message[0] !== 0x0a) return BAD_REQUEST;
  // The length has a second byte: no name that is known is so long.
  if (length >= 0x80) return UNKNOWN_SERVICE;
  if (length !== message.length - 2) return BAD_REQUEST;
  const service = message.toString('utf8', 2);
  return service === '' || service === AUTHORIZATION_SERVICE ? health : UNKNOWN_SERVICE;
}
