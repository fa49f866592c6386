/** Runs `explain` in this process, with a configuration that has a policy for each kind of check. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Io, Options } from '../../src/commands/command.ts';
import { explain } from '../../src/commands/explain.ts';
import { NOW } from './check.ts';
import { OTHER_SECRET, SECRET } from './token.ts';

export interface Explained {
  readonly code: number;
  readonly text: string;
  readonly errors: readonly string[];
}

export interface Explainer {
  readonly folder: string;
  readonly config: string;
  run(
    args: readonly string[],
    more?: { readonly stdin?: string; readonly hasColors?: boolean },
  ): Promise<Explained>;
  remove(): void;
}

const POLICIES = `policies:
  default: {}
  observe: {mode: observe}
  limit: {mode: limit}
  open: {mode: off}
  bearer: {tokenHeader: authorization, tokenPrefix: "Bearer "}
  session: {binding: {headers: [authorization], when: if-present}}
  bound: {binding: {headers: [authorization, x-session], when: required}}
  claims: {issuer: acme.approov.io, audience: host}
  tolerant: {clockToleranceSeconds: 30}
  signed: {messageSignature: {}}
  signed-twice: {messageSignature: {account: when-mskid, replay: per-instance}}
  signed-device: {messageSignature: {requiredComponents: ["@method", "@path", x-device]}}
  signed-body: {messageSignature: {contentDigest: required}}
  share: {enforcePercent: 5}
routes:
  - {host: api.example.com, pathPrefix: /health, methods: [GET], policy: open}
  - {pathPrefix: /v2, policy: session}
`;

/** It decides as of {@link NOW}. */
export function createExplainer(): Explainer {
  const folder = mkdtempSync(join(tmpdir(), 'explain-'));
  const config = join(folder, 'config.yaml');
  writeFileSync(join(folder, 'secret'), SECRET);
  writeFileSync(join(folder, 'account'), OTHER_SECRET);
  writeFileSync(
    config,
    `keys: [{id: current, kid: k1, secretFile: ${folder}/secret}]
messageSigningKeys: [{id: account, mskid: j3AWy6, secretFile: ${folder}/account}]
${POLICIES}`,
  );
  return {
    folder,
    config,
    async run(args, { stdin = '', hasColors = false } = {}) {
      const lines: string[] = [];
      const errors: string[] = [];
      const io = {
        env: { APPROOV_CONFIG: config },
        out: (line: string) => void lines.push(line),
        err: (line: string) => void errors.push(line),
        readStdin: async () => stdin,
        nowSeconds: () => NOW,
        hasColors,
      } as unknown as Io;
      const code = await explain.run(new Options(args, explain.options), io);
      return { code, text: lines.join('\n'), errors };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
