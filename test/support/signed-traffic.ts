/** Sends signed requests through a real Envoy with the sample for them, and the real service. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SIGNED_ENVOY_CONFIG, startSample, startUpstream } from './envoy.ts';
import { ACCOUNT_SECRET, MSKID } from './message-signature.ts';
import { startServe } from './process.ts';
import { SECRET } from './token.ts';

/** A request to send. A name may not occur twice among its headers. */
export interface Sent {
  readonly protocol: 'http/1.1' | 'http/2';
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/** `200`, or the status and the reason: `401 token_expired`. */
export type Outcome = string;

export interface SignedStack {
  send(sent: Sent): Promise<Outcome>;
  close(): Promise<void>;
}

/** @param messageSignature of the policy, in YAML. */
export async function startSignedStack(messageSignature: string): Promise<SignedStack> {
  const folder = mkdtempSync(join(tmpdir(), 'signed-'));
  const config = join(folder, 'config.yaml');
  writeFileSync(join(folder, 'account'), ACCOUNT_SECRET.toString('base64'));
  writeFileSync(
    config,
    `messageSigningKeys: [{id: account, mskid: ${MSKID}, secretFile: ${folder}/account}]
denied: {exposeReason: true}
log: {checks: none}
policies: {default: {mode: enforce, messageSignature: ${messageSignature}}}
`,
  );
  const [upstream, service] = await Promise.all([
    startUpstream(),
    startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', config]),
  ]);
  const addresses = { services: [service.grpc], upstream: upstream.address };
  const envoy = await startSample(addresses, undefined, SIGNED_ENVOY_CONFIG);
  const agent = new Agent({ keepAlive: true });
  const session = connect(`http://127.0.0.1:${envoy.port('api')}`);
  return {
    send: (sent) =>
      sent.protocol === 'http/2' ? sendHttp2(session, sent) : sendHttp1(agent, envoy.port('api'), sent),
    async close() {
      agent.destroy();
      session.destroy();
      await envoy.stop();
      await service.kill();
      await upstream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function outcomeOf(status: number | undefined, reason: unknown): Outcome {
  return reason === undefined ? `${status}` : `${status} ${reason}`;
}

async function sendHttp1(agent: Agent, port: number, sent: Sent): Promise<Outcome> {
  const { method, path, authority, body } = sent;
  const length = body === undefined ? {} : { 'content-length': `${body.length}` };
  const call = httpRequest({
    ...{ host: '127.0.0.1', port, agent, method, path },
    headers: { host: authority, ...sent.headers, ...length },
  });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return outcomeOf(response.statusCode, response.headers['x-approov-reason']);
}

async function sendHttp2(session: ClientHttp2Session, sent: Sent): Promise<Outcome> {
  const { method, path, authority, headers, body } = sent;
  const stream = session.request(
    { ':method': method, ':scheme': 'http', ':authority': authority, ':path': path, ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  stream.resume();
  await once(stream, 'end');
  return outcomeOf(Number(received[':status']), received['x-approov-reason']);
}

export type Outcomes = Readonly<Record<Outcome, number>>;

/** Sends requests, several at a time; @returns how many had which outcome. */
export async function countOutcomes(stack: SignedStack, requests: Iterable<Sent>): Promise<Outcomes> {
  const counts: Record<Outcome, number> = {};
  const waiting = requests[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = waiting.next();
      if (next.done) return;
      const outcome = await stack.send(next.value);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  return counts;
}

/** Counts the refusals of the service together, and any other outcome by itself. */
export function refusals(outcomes: Outcomes): Outcomes {
  const counts: Record<Outcome, number> = {};
  for (const [outcome, count] of Object.entries(outcomes)) {
    const kind = outcome.startsWith('401 ') ? 'refused' : outcome;
    counts[kind] = (counts[kind] ?? 0) + count;
  }
  return counts;
}
