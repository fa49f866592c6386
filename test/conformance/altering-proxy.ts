/** A gRPC server between Envoy and the service that records each CheckRequest, and alters messages on demand. */
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { CHECK, createCheckClient, type RequestJson, type ResponseJson } from '../support/grpc-client.ts';

/** What makes the service behave as if it were broken. Messages are plain JSON with the field names of the proto. */
export interface Alteration {
  readonly request?: (request: CheckRequestJson) => object;
  /** The service is sent a message that does not decode. */
  readonly isUnreadable?: boolean;
  readonly response?: (response: ResponseJson) => object;
  /** Fails the first this many calls of each request with this gRPC status instead of passing them on. */
  readonly failure?: { readonly code: number; readonly times: number };
  /** The timeout of calls is not seen. */
  readonly ignoresTimeout?: boolean;
  /** The health that is reported. Default: SERVING. */
  readonly isServing?: boolean;
}

/** The part of a CheckRequest that Envoy fills in for an HTTP request. */
export interface HttpRequestJson {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  readonly body: string;
  readonly raw_body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly header_map: {
    readonly headers: readonly { readonly key: string; readonly raw_value: Buffer }[];
  } | null;
}

export interface CheckRequestJson {
  readonly attributes: {
    readonly request: { readonly http: HttpRequestJson };
    readonly context_extensions: Readonly<Record<string, string>>;
    readonly source: { readonly address: { readonly socket_address: { readonly address: string } } };
  };
}

/** A call of Check as the service received it. */
export interface SeenCheck {
  readonly request: CheckRequestJson;
  /** What the client gave the call, in milliseconds; `Infinity` without a `grpc-timeout`. */
  readonly timeoutMs: number;
}

export interface AlteringProxy {
  readonly address: string;
  /** Every call so far, oldest first, after the alteration. */
  readonly seen: SeenCheck[];
  alter(alteration: Alteration): void;
  close(): void;
}

type Call = ServerUnaryCall<CheckRequestJson, object>;

export async function startAlteringProxy(service: string): Promise<AlteringProxy> {
  const client = createCheckClient(service);
  const server = new Server();
  const health = new HealthImplementation({
    '': 'SERVING',
    'envoy.service.auth.v3.Authorization': 'SERVING',
  });
  const seen: SeenCheck[] = [];
  const failures = new Map<string, number>();
  let current: Alteration = {};

  async function answer(call: Call): Promise<object> {
    const { request: alterRequest, response: alterResponse, failure } = current;
    const request = (alterRequest?.(call.request) ?? call.request) as CheckRequestJson;
    const deadlineMs = current.ignoresTimeout ? Number.POSITIVE_INFINITY : Number(call.getDeadline());
    seen.push({ request, timeoutMs: deadlineMs - Date.now() });
    const { path } = request.attributes.request.http;
    const failed = failures.get(path) ?? 0;
    if (failure !== undefined && failed < failure.times) {
      failures.set(path, failed + 1);
      throw Object.assign(new Error('altered'), { code: failure.code });
    }
    const response = await (current.isUnreadable
      ? client.checkBytes(Buffer.from([0xff]))
      : client.check(request as unknown as RequestJson));
    return alterResponse?.(response) ?? response;
  }

  const { path, requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = CHECK;
  const check = { path, requestSerialize, requestDeserialize, responseSerialize, responseDeserialize };
  server.addService(
    { Check: { ...check, requestStream: false, responseStream: false } },
    {
      Check(call: Call, respond: sendUnaryData<object>) {
        answer(call).then(
          (response) => respond(null, response),
          (error: ServiceError) => respond(error),
        );
      },
    },
  );
  health.addToServer(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });

  return {
    address: `127.0.0.1:${port}`,
    seen,
    alter(alteration) {
      current = alteration;
      failures.clear();
      const state = alteration.isServing === false ? 'NOT_SERVING' : 'SERVING';
      health.setStatus('envoy.service.auth.v3.Authorization', state);
    },
    close() {
      server.forceShutdown();
      client.close();
    },
  };
}
