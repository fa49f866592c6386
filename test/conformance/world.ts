/** Runs what a row of the conformance table needs: one version of Envoy, the service behind a proxy, and an upstream. */
import type { YAMLMap } from 'yaml';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import {
  EXT_AUTHZ,
  type Sample,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
} from '../support/envoy.ts';
import type { RunningService } from '../support/process.ts';
import { type AlteringProxy, startAlteringProxy } from './altering-proxy.ts';

/** The variants of envoy.yaml that rows use. */
const VARIANTS = {
  sample: () => undefined,
  failOpen: ({ httpFilter }: Sample) => httpFilter(EXT_AUTHZ).set('failure_mode_allow', true),
  body: ({ httpFilter }: Sample) =>
    httpFilter(EXT_AUTHZ).set('with_request_body', {
      max_request_bytes: 8,
      allow_partial_message: true,
      pack_as_bytes: true,
    }),
  /** Without any protection but the service: what Istio generates. */
  bare({ connectionManager, httpFilter }: Sample) {
    connectionManager.delete('early_header_mutation_extensions');
    (connectionManager.get('common_http_protocol_options') as YAMLMap).delete(
      'headers_with_underscores_action',
    );
    httpFilter(EXT_AUTHZ).delete('allowed_headers');
  },
  hiddenHeaders({ connectionManager }: Sample) {
    connectionManager.delete('early_header_mutation_extensions');
  },
  keepEscapedSlashes({ connectionManager }: Sample) {
    connectionManager.set('path_with_escaped_slashes_action', 'KEEP_UNCHANGED');
  },
  denyByMetadata({ addHttpFilterAfter }: Sample) {
    const value = { string_match: { exact: 'verified' } };
    const principal = { metadata: { filter: EXT_AUTHZ, path: [{ key: 'approov_verdict' }], value } };
    addHttpFilterAfter(EXT_AUTHZ, {
      name: 'envoy.filters.http.rbac',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
        rules: {
          action: 'ALLOW',
          policies: { verified: { permissions: [{ any: true }], principals: [principal] } },
        },
      },
    });
  },
} satisfies Record<string, (sample: Sample) => unknown>;

export type Variant = keyof typeof VARIANTS;

export interface World {
  readonly proxy: AlteringProxy;
  readonly upstream: Upstream;
  /** Starts a variant on its first use. */
  envoy(variant?: Variant): Promise<RunningEnvoy>;
  /** Makes `envoy()` use another variant than the sample. */
  breakSample(variant: Variant | undefined): void;
  stop(): Promise<void>;
}

/** @param binary of Envoy. */
export async function startWorld(binary: string): Promise<World> {
  const upstream = await startUpstream();
  const service: RunningService = await startSampleService();
  const proxy = await startAlteringProxy(service.grpc);
  const envoys = new Map<Variant, Promise<RunningEnvoy>>();
  let sample: Variant = 'sample';
  return {
    proxy,
    upstream,
    envoy(variant = sample) {
      const running =
        envoys.get(variant) ??
        startSample(
          { services: [proxy.address], upstream: upstream.address },
          (changed) => void VARIANTS[variant](changed),
          undefined,
          binary,
        );
      envoys.set(variant, running);
      return running;
    },
    breakSample(variant = 'sample') {
      sample = variant;
    },
    async stop() {
      for (const running of envoys.values()) await (await running).stop();
      proxy.close();
      await service.kill();
      await upstream.close();
    },
  };
}
