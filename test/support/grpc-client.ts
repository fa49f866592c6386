/** A gRPC client of the service: proto/ and the stock library, independent of the codec under test. */
import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';

const DEFINITION = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
  keepCase: true,
  enums: String,
  oneofs: true,
});
const SERVICE = DEFINITION['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
export const CHECK = methodNamed('Check');

function methodNamed(name: string): ServiceDefinition[string] {
  const method = SERVICE[name];
  if (method === undefined) throw new Error(`proto/ has no ${name}`);
  return method;
}

/** A CheckRequest as plain JSON with the field names of the proto. */
export type RequestJson = Readonly<Record<string, unknown>>;

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append: { readonly value?: boolean } | null;
  readonly append_action: string;
}

/** A CheckResponse as the stock library decodes it, without defaults. */
export interface ResponseJson {
  readonly status?: { readonly code: number };
  readonly denied_response?: {
    readonly status: { readonly code: number };
    readonly headers: readonly HeaderOption[];
    readonly body: string;
  };
  readonly ok_response?: {
    readonly headers: readonly HeaderOption[];
    readonly headers_to_remove: readonly string[];
  };
  readonly dynamic_metadata?: {
    readonly fields: Readonly<Record<string, { readonly stringValue?: string }>>;
  };
}

export interface CheckClient {
  /** Sends a request; rejects with a ServiceError if the status of the RPC is not OK. */
  check(request: RequestJson, metadata?: Readonly<Record<string, string>>): Promise<ResponseJson>;
  /** Sends bytes that need not be a valid message. */
  checkBytes(message: Buffer): Promise<ResponseJson>;
  close(): void;
}

/** @param target `host:port` or `unix:/path`. */
export function createCheckClient(
  target: string,
  channel: ChannelCredentials = credentials.createInsecure(),
): CheckClient {
  // By default clients of one target share a connection, even one that another client has closed. A server name must not
  // be an address (RFC 6066 §3); Node 26 rejects one.
  const client = new Client(target, channel, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  });
  const call = (message: Buffer, metadata: Metadata): Promise<ResponseJson> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        CHECK.path,
        (bytes: Buffer) => bytes,
        CHECK.responseDeserialize,
        message,
        metadata,
        { deadline: Date.now() + 30_000 },
        (error: ServiceError | null, response?: object) =>
          error === null ? resolve(response as ResponseJson) : reject(error),
      );
    });
  return {
    check(request, headers = {}) {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      return call(CHECK.requestSerialize(request), metadata);
    },
    checkBytes: (message) => call(message, new Metadata()),
    close: () => client.close(),
  };
}

/** A CheckRequest for a GET with these headers, in the `headers` map, where Envoy joins repeated ones. */
export function requestWith(
  headers: Readonly<Record<string, string>>,
  http: Readonly<Record<string, unknown>> = {},
): RequestJson {
  return {
    attributes: {
      request: { http: { method: 'GET', path: '/', host: 'api.example.com', headers, ...http } },
    },
  };
}

/** The dynamic metadata as strings. */
export function metadataOf(response: ResponseJson): Readonly<Record<string, string | undefined>> {
  const fields = Object.entries(response.dynamic_metadata?.fields ?? {});
  return Object.fromEntries(fields.map(([key, value]) => [key, value.stringValue]));
}
