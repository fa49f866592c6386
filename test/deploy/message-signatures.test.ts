/** Checks deploy/message-signatures: each sample differs from the one that it is made from only where signed requests need it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { relocate, startEnvoy, validateConfig } from '../../scripts/envoy.mjs';
import { headersReadUnder } from '../../src/authz/headers-read.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { EXT_AUTHZ } from '../support/envoy.ts';
import { readPage } from '../support/markdown.ts';
import { readSample, type SampleObject, sampleFolder } from '../support/sample-files.ts';

const FOLDER = 'message-signatures';
/** The largest body that Envoy sends along. */
const MAX_BODY_BYTES = 128 * 1024;
/** Envoy's limit on the headers of a request. */
const MAX_HEADER_BYTES = 60 * 1024;

const ENVOY_FILE = join(sampleFolder(FOLDER), 'envoy.yaml');
const [plain] = readSample('..', 'envoy.yaml') as [SampleObject];
const [signed] = readSample(FOLDER, 'envoy.yaml') as [SampleObject];
const serviceYaml = readFileSync(join(sampleFolder(FOLDER), 'config.yaml'), 'utf8');
const { config, problems } = parseConfig(serviceYaml, { APPROOV_BASE64_SECRET_FILE: '/run/secrets/current' });

function managerOf(envoy: SampleObject): SampleObject {
  return envoy['static_resources'].listeners[0].filter_chains[0].filters[0].typed_config;
}

function extAuthzOf(envoy: SampleObject): SampleObject {
  const filters: SampleObject[] = managerOf(envoy)['http_filters'];
  return filters.find(({ name }) => name === EXT_AUTHZ)?.['typed_config'];
}

function routesOf(envoy: SampleObject): SampleObject[] {
  return managerOf(envoy)['route_config'].virtual_hosts[0].routes;
}

function headersOf(envoy: SampleObject): string[] {
  return extAuthzOf(envoy)['allowed_headers'].patterns.map(({ exact }: { exact: string }) => exact);
}

describe('deploy/message-signatures/envoy.yaml', () => {
  test('is accepted by Envoy', async () => {
    expect(await validateConfig(ENVOY_FILE)).toBeUndefined();
  });

  test('is envoy.yaml with more headers, with bodies, and with a route for uploads', () => {
    const expected = structuredClone(plain);
    const filter = extAuthzOf(expected) as Record<string, unknown>;
    filter['allowed_headers'] = extAuthzOf(signed)['allowed_headers'];
    filter['with_request_body'] = extAuthzOf(signed)['with_request_body'];
    const uploads = routesOf(signed).filter(({ match }) => match.safe_regex?.regex.startsWith('/uploads'));
    expect(uploads).toHaveLength(1);
    routesOf(expected).splice(2, 0, ...uploads);
    expect(signed).toEqual(expected);
  });

  test('sends the headers of envoy.yaml, and exactly those that the service reads with the config.yaml next to it', () => {
    if (config === undefined) throw new Error(JSON.stringify(problems));
    expect(headersOf(signed).slice(0, headersOf(plain).length)).toEqual(headersOf(plain));
    expect(headersOf(signed).toSorted()).toEqual([...headersReadUnder(config.policyTable)].sort());
  });

  test('sends whole bodies, byte for byte, within what the service accepts as a message', () => {
    expect(extAuthzOf(signed)['with_request_body']).toEqual({
      max_request_bytes: MAX_BODY_BYTES,
      allow_partial_message: false,
      pack_as_bytes: true,
    });
    expect(config?.settings.limits.messageBytes).toBeGreaterThan(MAX_BODY_BYTES + MAX_HEADER_BYTES);
  });

  test('leaves out bodies on the route for uploads only, which matches whole plain paths', () => {
    const settings = (route: SampleObject) => route['typed_per_filter_config']?.[EXT_AUTHZ]?.check_settings;
    const unbuffered = routesOf(signed).filter((route) => settings(route)?.disable_request_body_buffering);
    expect(unbuffered.map(({ match }) => match)).toEqual([
      { safe_regex: { regex: '/uploads(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?' } },
    ]);
  });
});

test('a body over the limit gets 413 without a check, but for the route for uploads', async () => {
  const nobody = '127.0.0.1:9';
  const envoy = await startEnvoy(
    relocate(signed, {
      '0.0.0.0:10000': '127.0.0.1:0',
      '127.0.0.1:9901': '127.0.0.1:0',
      'approov-ext-authz:9001': nobody,
      'upstream:8080': nobody,
    }),
  );
  const post = async (path: string, length: number): Promise<number> => {
    const url = `http://127.0.0.1:${envoy.port('api')}${path}`;
    return (await fetch(url, { method: 'POST', body: Buffer.alloc(length) })).status;
  };
  // A check would be answered with 503, as there is no service.
  try {
    expect(await post('/orders', MAX_BODY_BYTES)).toBe(503);
    expect(await post('/orders', MAX_BODY_BYTES + 1)).toBe(413);
    expect(await post('/uploads/1', MAX_BODY_BYTES + 1)).toBe(503);
    expect(await post('/uploads/..;/orders', MAX_BODY_BYTES + 1)).toBe(413);
  } finally {
    await envoy.stop();
  }
});

describe('deploy/message-signatures/config.yaml', () => {
  test('is deploy/config/config.yaml with signatures under the default policy, and a store', () => {
    expect(problems).toEqual([]);
    const expected = parse(readFileSync(join(sampleFolder('config'), 'config.yaml'), 'utf8'));
    expected.policies.default.messageSignature = { install: 'when-ipk', replay: 'shared' };
    expected.replayStore = { url: 'redis://redis:6379' };
    expect(parse(serviceYaml)).toEqual(expected);
  });
});

describe('deploy/message-signatures/istio-mesh-config.yaml', () => {
  test('is the mesh configuration of deploy/istio, with bodies', () => {
    const [expected] = readSample('istio', 'mesh-config.yaml') as [SampleObject];
    expected['meshConfig'].extensionProviders[0].envoyExtAuthzGrpc.includeRequestBodyInCheck = {
      maxRequestBytes: MAX_BODY_BYTES,
      allowPartialMessage: false,
      packAsBytes: true,
    };
    expect(readSample(FOLDER, 'istio-mesh-config.yaml')).toEqual([expected]);
  });
});

describe('deploy/message-signatures/envoy-gateway.yaml', () => {
  const [added] = readSample(FOLDER, 'envoy-gateway.yaml') as [SampleObject];
  const [, limited] = readSample('envoy-gateway', 'security-policy.yaml') as [SampleObject, SampleObject];

  test('adds bodies to the route `api`, and repeats what every check there has', () => {
    const { extAuth, ...target } = added['spec'];
    expect(target).toEqual({
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'api' }],
      mergeType: 'StrategicMerge',
    });
    const { contextExtensions: _, ...repeated } = limited['spec'].extAuth;
    expect(extAuth).toEqual({ ...repeated, bodyToExtAuth: { maxRequestBytes: MAX_BODY_BYTES } });
  });
});

describe('deploy/message-signatures/redis.yaml', () => {
  const [deployment, service, policy] = readSample(FOLDER, 'redis.yaml') as [
    SampleObject,
    SampleObject,
    SampleObject,
  ];
  const { template } = deployment['spec'];
  const [container] = template.spec.containers;

  test('runs one Redis with minimal privileges', () => {
    expect(deployment['spec']).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('has the options of the Redis of compose, and users from the Secret', () => {
    const [compose] = readSample('.', 'docker-compose.message-signatures.yaml') as [SampleObject];
    const [program, flag, file, ...options] = container.args;
    expect([program, ...options]).toEqual(compose['services'].redis.command);
    expect([flag, file]).toEqual(['--aclfile', '/run/secrets/redis/users.acl']);
    expect(template.spec.volumes[0].secret).toMatchObject({
      secretName: 'approov-redis',
      items: [{ key: 'users.acl', path: 'users.acl' }],
    });
  });

  test('is found and reached by the pods of the chart, and by no other', () => {
    const { labels } = template.metadata;
    expect(deployment['spec'].selector.matchLabels).toEqual(labels);
    expect(service['spec'].selector).toEqual(labels);
    expect(policy['spec']).toMatchObject({
      podSelector: { matchLabels: labels },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { from: [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'approov-ext-authz' } } }] },
      ],
      egress: [],
    });
    const page = readPage('docs/install/kubernetes.md');
    expect(page).toContain(`url: redis://${service.metadata?.name}:${service['spec'].ports[0].port} `);
  });
});
