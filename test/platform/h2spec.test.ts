/** Runs the HTTP/2 conformance suite h2spec: only known cases fail, and other clients still get their answers. */
import { readFileSync } from 'node:fs';
import { credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createCa, issueCertificate } from '../support/certificate.ts';
import { createScratch } from '../support/checked-service.ts';
import { runTool } from '../support/platform-tool.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { OPENSSL, program, unmet } from '../support/requirement.ts';
import { SECRET } from '../support/token.ts';
import { unexpectedWarnings, watchService } from '../support/watch.ts';

const H2SPEC = program('h2spec', ['--version'], 'a release of summerwind/h2spec');
/** With the strict cases, which test requirements that are not absolute (SHOULD). */
const CASES = 146;
/**
 * Where the second frame of a stream is the invalid one, timing decides whether the stream has ended by then, so failed
 * cases are retried.
 */
const ATTEMPTS = 5;

type Failures = Readonly<Record<string, readonly string[]>>;

/** Node handles the frames of grpc-js. Seen with Node 20 or 24; some of these may pass with either. */
const FAILURES_OF_NODE: Failures = {
  // It expects a body: h2spec does not send gRPC, so each of its requests gets a 415 without a body.
  'generic/2': [
    'Sends a WINDOW_UPDATE frame on half-closed (remote) stream',
    'Sends a PRIORITY frame on half-closed (remote) stream',
  ],
  // Node silently drops frames of a closed stream.
  'http2/5.1': [
    'closed: Sends a DATA frame after sending RST_STREAM frame',
    'closed: Sends a HEADERS frame after sending RST_STREAM frame',
    'closed: Sends a DATA frame',
    'closed: Sends a HEADERS frame',
  ],
  'http2/5.1.1': ['Sends stream identifier that is numerically smaller than previous'],
  // Its streams are answered before the limit of concurrent streams is reached.
  'http2/5.1.2': ['Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded'],
  // Node 24 ignores priorities, as RFC 9113 allows.
  'http2/5.3.1': ['Sends PRIORITY frame that depend on itself'],
  'http2/6.3': ['Sends a PRIORITY frame with 0x0 stream identifier'],
  'http2/6.7': ['Sends a PING frame with ACK'],
  'http2/6.9.1': [
    'Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1',
    'Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream',
  ],
};

const KNOWN_FAILURES: Readonly<Record<'grpc-js' | 'lean', Failures>> = {
  'grpc-js': FAILURES_OF_NODE,
  lean: {},
};

interface Case {
  readonly section: string;
  readonly title: string;
  readonly isFailed: boolean;
}

/** Reads the report with a pattern: it quotes frames byte by byte, which is not valid XML. */
function readReport(file: string): Case[] {
  const report = readFileSync(file, 'latin1');
  const cases = report.matchAll(/<testcase package="(.*?)" classname="(.*?)"[^>]*>(.*?)<\/testcase>/gs);
  return Array.from(cases, ([, section = '', title = '', result = '']) => ({
    section,
    title: title.replaceAll('&#34;', '"'),
    isFailed: /^\s*<(error|failure)/.test(result),
  }));
}

const skipped = await unmet(
  [H2SPEC, OPENSSL],
  'that wrong HTTP/2 frames of every kind leave the service answering',
);

describe.skipIf(skipped !== '')(`h2spec${skipped}`, () => {
  const scratch = createScratch('h2spec');
  const ca = createCa(scratch.folder, 'ca');
  const { certFile, keyFile } = issueCertificate(scratch.folder, 'server', ca);
  let service: RunningService | undefined;
  afterEach(() => service?.kill());
  afterAll(() => scratch.remove());

  /** @param sections the sections to run; all if empty. */
  async function run(
    address: string,
    options: readonly string[],
    sections: readonly string[] = [],
  ): Promise<Case[]> {
    const file = scratch.path('report.xml');
    const [host = '', port = ''] = address.split(':');
    const all = ['--host', host, '--port', port, '--strict', '--junit-report', file, ...options];
    await runTool('h2spec', [...all, ...sections]);
    return readReport(file);
  }

  test.each([
    ['grpc-js', 'plain text'],
    ['lean', 'plain text'],
    ['lean', 'TLS'],
  ] as const)(
    'fails only the known cases of %s over %s, and checks are answered during and after it',
    async (transport, layer) => {
      const tls = layer === 'TLS';
      const listen = { transport, ...(tls ? { tls: { certFile, keyFile } } : {}) };
      const config = scratch.write('config.yaml', stringify({ listen }));
      const running = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', config]);
      service = running;
      const options = tls ? ['--tls', '--insecure'] : [];
      const known = KNOWN_FAILURES[transport];
      const isSurprise = ({ section, title, isFailed }: Case): boolean =>
        isFailed && !known[section]?.includes(title);
      let surprises: Case[] = [];
      const reasons = await watchService(
        running,
        tls ? credentials.createSsl(Buffer.from(ca.cert)) : undefined,
      ).reasonsDuring(async () => {
        const cases = await run(running.grpc, options);
        expect(cases).toHaveLength(CASES);
        surprises = cases.filter(isSurprise);
        for (let attempt = 1; attempt < ATTEMPTS && surprises.length > 0; attempt++) {
          const sections = [...new Set(surprises.map(({ section }) => section))];
          const again = (await run(running.grpc, options, sections)).filter(isSurprise);
          surprises = surprises.filter(({ title }) => again.some((each) => each.title === title));
        }
      });
      expect(reasons).toEqual(new Set(['ok']));
      expect(surprises).toEqual([]);
      expect(unexpectedWarnings(running, transport)).toEqual([]);
    },
  );
});
