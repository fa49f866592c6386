/** Sends what rows send besides plain requests. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';

/** A path that no other request has, to find a request again. */
export function uniquePath(): string {
  return `/orders/${randomUUID()}`;
}

/** Sends a gRPC call without a token through Envoy. */
export async function callGrpc(envoy: RunningEnvoy): Promise<{ readonly grpcStatus: string | undefined }> {
  const session = connect(`http://127.0.0.1:${envoy.port('api')}`);
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/shop.Orders/List',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end();
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    return { grpcStatus: headers['grpc-status'] };
  } finally {
    session.destroy();
  }
}
