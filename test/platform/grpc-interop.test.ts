/** Runs grpc-go's interoperability client against unary-grpc. */
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEST_SERVICE } from '../../packages/unary-grpc/test/interop/test-service.ts';
import { type ListeningServer, listenUnary } from '../../packages/unary-grpc/test/support/listening.ts';
import { runTool } from '../support/platform-tool.ts';
import { answers, type Requirement, unmet } from '../support/requirement.ts';

const MODULE = 'google.golang.org/grpc/interop/client@v1.85.0';
/** Ignored by git. */
const FOLDER = fileURLToPath(new URL('../../.tools/grpc-interop/', import.meta.url));
const PROGRAM = join(FOLDER, 'client');

const INTEROP_CLIENT: Requirement = {
  name: 'the interoperability client of grpc-go',
  source: `Go, which builds ${MODULE} once`,
  async isMet() {
    if (existsSync(PROGRAM)) return true;
    mkdirSync(FOLDER, { recursive: true });
    return answers('env', [`GOBIN=${FOLDER}`, 'go', '-C', tmpdir(), 'install', MODULE]);
  },
};

const skipped = await unmet([INTEROP_CLIENT], 'that unary-grpc and grpc-go understand each other');

/** The sizes of a call are those of large_unary: 271,828 bytes there and 314,159 back. */
const SOAK = ['--soak_iterations=1000', '--soak_num_threads=4', '--soak_overall_timeout_seconds=240'];
/** A busy machine may be slow, which is not what this tests. */
const PATIENT = ['--soak_per_iteration_max_acceptable_latency_ms=60000'];

describe.skipIf(skipped !== '')(`unary-grpc with the interoperability client of grpc-go${skipped}`, () => {
  let server: ListeningServer;
  beforeAll(async () => {
    server = await listenUnary({ methods: TEST_SERVICE });
  });
  afterAll(() => server.stop());

  async function run(
    testCase: string,
    options: readonly string[] = [],
  ): Promise<{ code: number; output: string }> {
    const [host = '', port = ''] = server.address.split(':');
    const address = [`--server_host=${host}`, `--server_port=${port}`];
    return runTool(PROGRAM, [...address, `--test_case=${testCase}`, ...options]);
  }

  test.each([
    'empty_unary',
    'large_unary',
    'special_status_message',
    'unimplemented_method',
    'unimplemented_service',
    'pick_first_unary',
  ])('passes %s', async (testCase) => {
    const { code, output } = await run(testCase);
    expect(code, output).toBe(0);
  });

  test.each(['rpc_soak', 'channel_soak'])('passes %s without a failed call', async (testCase) => {
    const { code, output } = await run(testCase, [...SOAK, ...PATIENT]);
    expect(code, output).toBe(0);
    expect(output).toMatch(/\b1000\b/);
  });

  test('passes status_code_and_message up to its streaming call, which is not implemented', async () => {
    const { code, output } = await run('status_code_and_message');
    expect(code).not.toBe(0);
    expect(output).toContain('Recv() returned error rpc error: code = Unimplemented');
  });
});
