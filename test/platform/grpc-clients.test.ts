/** Checks requests with other gRPC clients than grpc-js, in plain text, over TLS and a Unix socket, on each transport. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { protoPath as healthProto } from 'grpc-health-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createCa, issueCertificate } from '../support/certificate.ts';
import { createScratch } from '../support/checked-service.ts';
import { requestWith } from '../support/grpc-client.ts';
import { runToolOrThrow } from '../support/platform-tool.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { CHECK_PATH } from '../support/raw-http2.ts';
import { OPENSSL, program, unmet } from '../support/requirement.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { checkMessage } from '../support/watch.ts';

const GRPCURL = program(
  'grpcurl',
  ['-version'],
  'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4',
);
const GHZ = program('ghz', ['--version'], 'go install github.com/bojand/ghz/cmd/ghz@v0.93.0');
const GRPCIO = program('python3', ['-c', 'import grpc'], 'pip install grpcio', 'grpcio');

const skipped = await unmet(
  [OPENSSL, GRPCURL, GHZ, GRPCIO],
  'that the clients of grpc-go and grpcio are answered',
);

const PROTO = fileURLToPath(new URL('../../proto', import.meta.url));
const GRPCIO_CALLS = fileURLToPath(new URL('../support/grpcio_calls.py', import.meta.url));
const PROTOS = ['-import-path', PROTO, '-proto', 'envoy/service/auth/v3/external_auth.proto'];
const HEALTH_PROTOS = ['-import-path', dirname(healthProto), '-proto', healthProto];
const CHECK = CHECK_PATH.slice(1);
const CALLS = 2000;

const TRANSPORTS = ['grpc-js', 'lean'] as const;

const requestJson = () => JSON.stringify(requestWith({ 'approov-token': freshToken() }));

describe.skipIf(skipped !== '')(`gRPC clients${skipped}`, () => {
  const scratch = createScratch('grpc-clients');
  const ca = createCa(scratch.folder, 'ca');
  const server = issueCertificate(scratch.folder, 'server', ca);
  const client = issueCertificate(scratch.folder, 'client', ca);
  beforeAll(() => {
    for (const [name, text] of [
      ['ca.pem', ca.cert],
      ['client.pem', client.cert],
      ['client.key', client.key],
    ] as const) {
      writeFileSync(scratch.path(name), text);
    }
  });
  afterAll(() => scratch.remove());

  const TLS = {
    certFile: server.certFile,
    keyFile: server.keyFile,
    clientCaFile: ca.certFile,
  };
  /** How each client names the address and the certificates of a listener. */
  const LISTENERS = {
    'plain text': {
      listen: {},
      grpc: '127.0.0.1:0',
      grpcurl: ['-plaintext'],
      ghz: ['--insecure'],
      grpcio: [],
    },
    'a Unix socket': {
      listen: {},
      grpc: `unix:${scratch.path('grpc.sock')}`,
      grpcurl: ['-plaintext', '-unix'],
      ghz: ['--insecure'],
      grpcio: [],
    },
    'TLS with client certificates': {
      listen: { tls: TLS },
      grpc: '127.0.0.1:0',
      grpcurl: [
        '-cacert',
        ca.certFile,
        '-cert',
        client.certFile,
        '-key',
        client.keyFile,
        '-servername',
        'localhost',
      ],
      ghz: [
        '--cacert',
        ca.certFile,
        '--cert',
        client.certFile,
        '--key',
        client.keyFile,
        '--cname',
        'localhost',
      ],
      grpcio: [scratch.folder],
    },
  };

  let service: RunningService | undefined;
  afterEach(async () => {
    await service?.kill();
  });

  const cases = TRANSPORTS.flatMap((transport) =>
    Object.entries(LISTENERS).map(([name, listener]) => [transport, name, listener] as const),
  );

  test.each(cases)(
    'grpcurl, ghz and grpcio are answered by %s over %s',
    async (transport, _name, listener) => {
      const config = scratch.write('config.yaml', stringify({ listen: { ...listener.listen, transport } }));
      const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: listener.grpc };
      service = await startServe(env, ['--config', config]);
      // grpcurl takes the path of a socket, the others its URL.
      const address = service.grpc.replace(/^unix:/, '');

      const answer = await runToolOrThrow('grpcurl', [
        ...listener.grpcurl,
        ...PROTOS,
        '-d',
        requestJson(),
        address,
        CHECK,
      ]);
      expect(JSON.parse(answer)).toMatchObject({ dynamicMetadata: { approov_reason: 'ok' } });

      const health = [...listener.grpcurl, ...HEALTH_PROTOS, address, 'grpc.health.v1.Health/Check'];
      expect(JSON.parse(await runToolOrThrow('grpcurl', health))).toEqual({ status: 'SERVING' });

      const protos = [
        '--import-paths',
        PROTO,
        '--proto',
        join(PROTO, 'envoy/service/auth/v3/external_auth.proto'),
      ];
      const load = [
        '-n',
        String(CALLS),
        '-c',
        '50',
        '--connections',
        '5',
        '--format',
        'json',
        '--call',
        CHECK,
      ];
      const loaded = await runToolOrThrow('ghz', [
        ...listener.ghz,
        ...protos,
        ...load,
        '-d',
        requestJson(),
        service.grpc,
      ]);
      expect(JSON.parse(loaded)).toMatchObject({ count: CALLS, statusCodeDistribution: { OK: CALLS } });

      const message = scratch.path('message');
      writeFileSync(message, checkMessage({ 'approov-token': freshToken() }));
      const python = [GRPCIO_CALLS, service.grpc, CHECK_PATH, String(CALLS), ...listener.grpcio];
      const called = JSON.parse(
        await runToolOrThrow('sh', ['-c', 'exec python3 "$@" <"$0"', message, ...python]),
      );
      expect(called.counts).toEqual({ OK: CALLS });
      expect(Buffer.from(called.answer, 'base64').toString('latin1')).toContain('approov_reason');
    },
  );
});
