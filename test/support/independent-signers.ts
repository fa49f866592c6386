/** Signs examples with two implementations of RFC 9421 that share no code with this project. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createSigner, httpbis } from 'http-message-signatures';
import { ACCOUNT_SECRET, CREATED, INSTALL_KEY } from './message-signature.ts';
import { program } from './requirement.ts';
import {
  ALGORITHMS,
  componentsOf,
  type Example,
  parametersOf,
  pathOf,
  type SentSignature,
} from './signature-examples.ts';

export interface IndependentSigner {
  sign(example: Example): Promise<SentSignature>;
  stop(): Promise<void>;
}

/** A request as http-message-signatures takes it. */
export function libraryRequest(example: Example, signature: Readonly<Record<string, string>> = {}) {
  const { method, authority, headers } = example;
  return { method, url: `https://${authority}${pathOf(example)}`, headers: { ...headers, ...signature } };
}

export function createLibrarySigner(): IndependentSigner {
  const keys = {
    install: createSigner(INSTALL_KEY.privateKey, ALGORITHMS.install),
    account: createSigner(ACCOUNT_SECRET, ALGORITHMS.account),
  };
  return {
    async sign(example) {
      const { label, expires, nonce } = example;
      const config = {
        key: keys[label],
        name: label,
        fields: [...componentsOf(example)],
        params: ['created', ...(expires === undefined ? [] : ['expires']), 'nonce', 'alg'],
        paramValues: {
          created: new Date(CREATED * 1000),
          ...(expires === undefined ? {} : { expires: new Date(expires * 1000) }),
          ...(nonce === undefined ? {} : { nonce }),
        },
      };
      const { headers } = await httpbis.signMessage(config, libraryRequest(example));
      return {
        'signature-input': String(headers['Signature-Input']),
        signature: String(headers['Signature']),
      };
    },
    stop: async () => undefined,
  };
}

const SCRIPT = fileURLToPath(new URL('sign_request.py', import.meta.url));

export const PYTHON = program('python3', ['--version'], 'https://www.python.org, 3.8 or later');

/** Signs one example at a time. */
export function startPythonSigner(): IndependentSigner {
  const folder = mkdtempSync(join(tmpdir(), 'python-signer-'));
  const keyFile = join(folder, 'key.pem');
  writeFileSync(keyFile, INSTALL_KEY.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const keys = { install: keyFile, account: ACCOUNT_SECRET.toString('base64') };
  const child = spawn('python3', [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, 'close');
  return {
    async sign(example) {
      const { label, method, authority, headers } = example;
      const request = {
        ...{ label, method, authority, path: pathOf(example), key: keys[label] },
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()])),
        components: componentsOf(example),
        parameters: parametersOf(example),
      };
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { done, value } = await lines.next();
      if (done) throw new Error('sign_request.py ended');
      return JSON.parse(value) as SentSignature;
    },
    async stop() {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
