/** Tests the gRPC server from the network: health, reflection, limits, deadlines and broken peers. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client, type ClientOptions, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readMetrics } from '../support/admin-pages.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { HAS_STREAMING } from '../support/transport.ts';

const SERVICE = 'envoy.service.auth.v3.Authorization';
const CHECK = `/${SERVICE}/Check`;
const MESSAGE_BYTES = 100_000;

const folder = mkdtempSync(join(tmpdir(), 'server-'));
const socket = join(folder, 'authz.sock');
let service: RunningService;

beforeAll(async () => {
  const config = `{limits: {messageBytes: ${MESSAGE_BYTES}, connections: 20}, connection: {maxConcurrentStreams: 77}}`;
  writeFileSync(join(folder, 'config.yaml'), config);
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', join(folder, 'config.yaml')]);
});

afterAll(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

/** Expects the service to answer a check. */
async function expectServing(): Promise<void> {
  const client = createCheckClient(service.grpc);
  const answer = await client.check(requestWith({ 'approov-token': freshToken() }));
  client.close();
  expect(metadataOf(answer)['approov_reason']).toBe('ok');
}

/** Calls Check with raw message bytes. */
function callCheck(
  message: Buffer,
  options: ClientOptions = {},
  metadata = new Metadata(),
): Promise<{ code: number; answer?: Buffer }> {
  const client = new Client(service.grpc, credentials.createInsecure(), options);
  const identity = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      CHECK,
      identity,
      identity,
      message,
      metadata,
      (error: ServiceError | null, answer?: Buffer) => {
        client.close();
        resolve({ code: error?.code ?? status.OK, ...(answer === undefined ? {} : { answer }) });
      },
    );
  });
}

async function metric(name: string): Promise<number> {
  return (await readMetrics(service.admin)).get(name) ?? Number.NaN;
}

/** Opens a Check call without sending its message. */
function openCall(session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}) {
  return session.request({
    ':method': 'POST',
    ':path': CHECK,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
}

const FRAMED_EMPTY_MESSAGE = Buffer.alloc(5);

describe('health', () => {
  const healthService = loadSync(healthProto, { enums: String })[
    'grpc.health.v1.Health'
  ] as ServiceDefinition;
  interface HealthAnswer {
    readonly status: string;
  }

  async function check(name: string): Promise<string | number> {
    const client = new Client(service.grpc, credentials.createInsecure());
    const method = definedMethod(healthService, 'Check');
    return new Promise((resolve) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { service: name },
        (error: ServiceError | null, answer?: object) => {
          client.close();
          resolve(error?.code ?? (answer as HealthAnswer).status);
        },
      );
    });
  }

  async function firstWatched(name: string): Promise<string> {
    const client = new Client(service.grpc, credentials.createInsecure());
    const method = definedMethod(healthService, 'Watch');
    const stream = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      { service: name },
    );
    stream.on('error', () => {});
    const [answer] = (await once(stream, 'data')) as [HealthAnswer];
    stream.cancel();
    client.close();
    return answer.status;
  }

  test.each(['', SERVICE])('of "%s" is SERVING by Check', async (name) => {
    expect(await check(name)).toBe('SERVING');
  });

  test.runIf(HAS_STREAMING).each(['', SERVICE])('of "%s" is SERVING by Watch', async (name) => {
    expect(await firstWatched(name)).toBe('SERVING');
  });

  test('of an unknown service is NOT_FOUND by Check', async () => {
    expect(await check('envoy.service.auth.v2.Authorization')).toBe(status.NOT_FOUND);
  });

  test.runIf(HAS_STREAMING)('of an unknown service is SERVICE_UNKNOWN by Watch', async () => {
    expect(await firstWatched('envoy.service.auth.v2.Authorization')).toBe('SERVICE_UNKNOWN');
  });
});

describe.runIf(HAS_STREAMING)('reflection', () => {
  const require = createRequire(import.meta.url);
  const { FileDescriptorProto } = require('protobufjs/ext/descriptor') as {
    FileDescriptorProto: protobuf.Type;
  };
  const protos = join(dirname(require.resolve('@grpc/reflection')), '../proto');
  const versions = ['v1', 'v1alpha'];

  async function ask(version: string, question: object): Promise<Record<string, unknown>> {
    const definition = loadSync(`grpc/reflection/${version}/reflection.proto`, {
      includeDirs: [protos],
      keepCase: true,
    });
    const name = `grpc.reflection.${version}.ServerReflection`;
    const method = definedMethod(definition[name] as ServiceDefinition, 'ServerReflectionInfo');
    const client = new Client(service.grpc, credentials.createInsecure());
    const stream = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    stream.write(question);
    const [answer] = (await once(stream, 'data')) as [Record<string, unknown>];
    stream.end();
    client.close();
    return answer;
  }

  test.each(versions)('%s lists the Authorization service', async (version) => {
    const answer = await ask(version, { list_services: '*' });
    expect(answer['list_services_response']).toMatchObject({
      service: expect.arrayContaining([{ name: SERVICE }]),
    });
  });

  test.each(versions)(
    '%s returns file descriptors with their imports, which clients need',
    async (version) => {
      const answer = await ask(version, { file_containing_symbol: SERVICE });
      const { file_descriptor_proto: files } = answer['file_descriptor_response'] as {
        file_descriptor_proto: Buffer[];
      };
      const described = files.map((file) => FileDescriptorProto.toObject(FileDescriptorProto.decode(file)));
      const own = described.find((file) => file['package'] === 'envoy.service.auth.v3');
      const imports = described
        .filter((file) => own?.['dependency']?.includes(file['name']))
        .map((file) => file['package']);
      expect(imports).toEqual(
        expect.arrayContaining(['envoy.config.core.v3', 'google.rpc', 'google.protobuf']),
      );
    },
  );
});

describe('a call', () => {
  test('is answered whatever its :authority', async () => {
    for (const authority of ['outbound_.9000_._.host', 'ext_authz', '[::1]:9001', 'a,b;c']) {
      const { code } = await callCheck(Buffer.alloc(0), { 'grpc.default_authority': authority });
      expect([authority, code]).toEqual([authority, status.OK]);
    }
  });

  test.each([
    ['deflate', 1],
    ['gzip', 2],
  ])('compressed with %s is UNIMPLEMENTED', async (_name, algorithm) => {
    const options = { 'grpc.default_compression_algorithm': algorithm };
    expect((await callCheck(unknownFieldOf(10_000), options)).code).toBe(status.UNIMPLEMENTED);
    await expectServing();
  });

  test.each([
    ['gzip', CHECK],
    ['GZIP', CHECK],
    ['identity, gzip', CHECK],
    ['', CHECK],
    ['gzip', '/grpc.health.v1.Health/Check'],
    ['gzip', '/grpc.health.v1.Health/Watch'],
    ['gzip', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'],
  ])(
    'with grpc-encoding "%s" (%s) is rejected by its headers with grpc-accept-encoding',
    async (encoding, path) => {
      const session = connectHttp2(`http://${service.grpc}`);
      const call = openCall(session, { 'grpc-encoding': encoding, ':path': path });
      const [headers] = await once(call.resume(), 'response');
      session.destroy();
      expect(headers).toMatchObject({
        'grpc-status': String(status.UNIMPLEMENTED),
        'grpc-accept-encoding': 'identity',
      });
    },
  );

  test('with grpc-encoding identity is answered', async () => {
    const session = connectHttp2(`http://${service.grpc}`);
    const call = openCall(session, { 'grpc-encoding': 'identity' });
    call.end(FRAMED_EMPTY_MESSAGE);
    const [trailers] = await once(call.resume(), 'trailers');
    session.destroy();
    expect(trailers).toMatchObject({ 'grpc-status': '0' });
  });

  test('is answered uncompressed, with status OK in its trailers', async () => {
    const session = connectHttp2(`http://${service.grpc}`);
    const call = openCall(session, { 'grpc-accept-encoding': 'gzip' });
    let [headers, trailers] = [{}, {}];
    call.once('response', (some) => (headers = some)).once('trailers', (some) => (trailers = some));
    call.end(FRAMED_EMPTY_MESSAGE);
    const [first] = (await once(call, 'data')) as [Buffer];
    await once(call, 'close');
    session.close();
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': expect.stringMatching(/^application\/grpc/),
    });
    expect(first[0]).toBe(0);
    expect(trailers).toMatchObject({ 'grpc-status': '0' });
  });

  test('with a message of the maximum size is answered; one byte more is RESOURCE_EXHAUSTED', async () => {
    expect((await callCheck(unknownFieldOf(MESSAGE_BYTES))).code).toBe(status.OK);
    expect((await callCheck(unknownFieldOf(MESSAGE_BYTES + 1))).code).toBe(status.RESOURCE_EXHAUSTED);
    await expectServing();
  });

  test('whose deadline has passed on arrival is counted as abandoned by deadline', async () => {
    const name = 'approov_checks_abandoned_total{cause="deadline"}';
    const before = await metric(name);
    const metadata = new Metadata();
    metadata.set('grpc-timeout', '1n');
    expect((await callCheck(Buffer.alloc(0), {}, metadata)).code).toBe(status.DEADLINE_EXCEEDED);
    await vi.waitFor(async () => expect(await metric(name)).toBe(before + 1), PATIENCE);
  });

  test('whose deadline passes before its message arrives is counted as abandoned by deadline', async () => {
    const name = 'approov_checks_abandoned_total{cause="deadline"}';
    const before = await metric(name);
    const session = connectHttp2(`http://${service.grpc}`);
    const call = openCall(session, { 'grpc-timeout': '20m' });
    const [headers] = await once(call, 'response');
    expect(headers).toMatchObject({ 'grpc-status': String(status.DEADLINE_EXCEEDED) });
    await vi
      .waitFor(async () => expect(await metric(name)).toBe(before + 1), PATIENCE)
      .finally(() => session.destroy());
  });

  test('that the client cancels before its message is complete is counted as abandoned by cancellation', async () => {
    const name = 'approov_checks_abandoned_total{cause="cancelled"}';
    const before = await metric(name);
    const session = connectHttp2(`http://${service.grpc}`);
    const call = openCall(session);
    call.write(FRAMED_EMPTY_MESSAGE.subarray(0, 3));
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    call.close(constants.NGHTTP2_CANCEL);
    await vi
      .waitFor(async () => expect(await metric(name)).toBe(before + 1), PATIENCE)
      .finally(() => session.destroy());
  });

  test('whose connection closes before its answer is sent is no longer counted as in flight', async () => {
    const session = connectHttp2(`http://${service.grpc}`, { settings: { initialWindowSize: 0 } });
    openCall(session).end(FRAMED_EMPTY_MESSAGE);
    await vi.waitFor(async () => expect(await metric('approov_checks_in_flight')).toBe(1), PATIENCE);
    session.destroy();
    await vi.waitFor(async () => expect(await metric('approov_checks_in_flight')).toBe(0), PATIENCE);
  });

  test('to an unknown method is UNIMPLEMENTED, and one that is not gRPC gets status 415', async () => {
    const session = connectHttp2(`http://${service.grpc}`);
    const [unknown] = await once(openCall(session, { ':path': `/${SERVICE}/Nothing` }).end(), 'response');
    const [other] = await once(openCall(session, { 'content-type': 'text/plain' }).end(), 'response');
    session.close();
    expect(unknown).toMatchObject({ 'grpc-status': String(status.UNIMPLEMENTED) });
    expect(other).toMatchObject({ ':status': 415 });
  });
});

describe('a connection', () => {
  test('receives the configured SETTINGS_MAX_CONCURRENT_STREAMS', async () => {
    const session = connectHttp2(`http://${service.grpc}`);
    const [settings] = await once(session, 'remoteSettings');
    session.close();
    expect(settings).toMatchObject({ maxConcurrentStreams: 77 });
  });

  test('may send many PINGs and is still answered', async () => {
    const session = connectHttp2(`http://${service.grpc}`);
    await once(session, 'connect');
    for (let sent = 0; sent < 200; sent++)
      await new Promise<void>((resolve) => session.ping(() => resolve()));
    const call = openCall(session).end(FRAMED_EMPTY_MESSAGE);
    const [headers] = await once(call, 'response');
    session.close();
    expect(headers).toMatchObject({ ':status': 200 });
  });

  test.each([
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex')],
    ['half a preface', Buffer.from('PRI * HTTP/2.0\r\n')],
    [
      'a preface and garbage',
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(200, 0xff)]),
    ],
    ['nothing', Buffer.alloc(0)],
  ])('that sends %s and closes does not affect other clients', async (_name, bytes) => {
    for (const end of ['destroy', 'resetAndDestroy'] as const) {
      const [host = '', port] = service.grpc.split(':');
      const peer = connect(Number(port), host).on('error', () => {});
      await once(peer, 'connect');
      await new Promise((resolve) => peer.write(bytes, resolve));
      peer[end]();
    }
    await expectServing();
  });

  test('over the connection limit replaces one that has sent nothing', async () => {
    const [host = '', port] = service.grpc.split(':');
    const peers = Array.from({ length: 20 }, () =>
      connect(Number(port), host)
        .on('error', () => {})
        .resume(),
    );
    await Promise.all(peers.map((peer) => once(peer, 'connect')));
    await expectServing();
    await vi.waitFor(() => expect(peers.some(({ closed }) => closed)).toBe(true), PATIENCE);
    for (const peer of peers) peer.destroy();
  });
});

describe('a Unix socket', () => {
  test.each([
    ['0660', ''],
    ['0600', 'listen: {unixSocketMode: "0600"}'],
  ])('has mode %s and accepts checks', async (mode, config) => {
    writeFileSync(join(folder, 'socket.yaml'), config);
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: `unix:${socket}` };
    const local = await startServe(env, ['--config', join(folder, 'socket.yaml')]);
    const client = createCheckClient(`unix:${socket}`);
    try {
      expect((statSync(socket).mode & 0o777).toString(8).padStart(4, '0')).toBe(mode);
      const answer = await client.check(requestWith({ 'approov-token': freshToken() }));
      expect(metadataOf(answer)['approov_reason']).toBe('ok');
    } finally {
      client.close();
      await local.kill();
    }
  });
});

function definedMethod(definition: ServiceDefinition, name: string): ServiceDefinition[string] {
  const method = definition[name];
  if (method === undefined) throw new Error(`no method ${name}`);
  return method;
}

function lengthDelimited(fieldNumber: number, content: Uint8Array): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(fieldNumber * 8 + 2)
      .bytes(content)
      .finish(),
  );
}

/** A message of exactly this size with only a field that the codec skips. */
function unknownFieldOf(bytes: number): Buffer {
  return lengthDelimited(15, Buffer.alloc(bytes - 4));
}
