/** Intercepts each gRPC call when its headers arrive: a check is answered here, other calls pass to grpc-js. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { CheckCall, type CheckCallOptions } from './check-call.ts';
import { NO_SLOT } from './message-timeout.ts';
import type { OtherCalls } from './other-calls.ts';
import { rejectByHeaders, type ServerCall, streamOf } from './server-call.ts';
import type { TrafficLimits } from './traffic-limits.ts';
import { CHECK_PATH } from './transport.ts';

interface InterceptorOptions extends CheckCallOptions {
  readonly traffic: Pick<TrafficLimits, 'countCall'>;
  readonly otherCalls: OtherCalls;
}

export function createCallInterceptor(options: InterceptorOptions): ServerInterceptor {
  return ({ path }, call) => {
    options.traffic.countCall(streamOf(call));
    return path === CHECK_PATH ? new CheckCall(call, options) : trackOpenCall(call, options);
  };
}

/** Adds the call when its headers arrive, because grpc-js does not report the end of a call that was reset before. */
function trackOpenCall(
  call: ServerCall,
  { maxMetadataBytes, messageTimeout, otherCalls }: InterceptorOptions,
): ServerInterceptingCall {
  let slot = NO_SLOT;
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata(metadata, receive) {
          if (rejectByHeaders(call, metadata, maxMetadataBytes)) return;
          if (!otherCalls.add(call)) return;
          slot = messageTimeout.start(call);
          receive(metadata);
        },
        onReceiveMessage(message, receive) {
          messageTimeout.clear(slot, call);
          receive(message);
        },
        onCancel() {
          otherCalls.delete(call);
          messageTimeout.clear(slot, call);
        },
      }),
  });
}
