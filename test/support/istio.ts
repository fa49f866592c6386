/** Runs a real istiod on a Kubernetes API server, and an Envoy that it configures as an ingress gateway. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEnvoy } from '../../scripts/envoy.mjs';
import type { KubernetesApi } from './kubernetes-api.ts';
import { freePort, startTool } from './platform-tool.ts';
import { program, type Requirement } from './requirement.ts';
import type { SampleObject } from './sample-files.ts';

export const ISTIOD = program(
  'pilot-discovery',
  ['version'],
  "from Istio's pilot image, or built from istio.io/istio/pilot/cmd/pilot-discovery",
);
export const ISTIOCTL = program('istioctl', ['version', '--remote=false'], 'a release of Istio');
/** Kubernetes rejects endpoints on loopback. */
export const MACHINE_ADDRESS: Requirement = {
  name: 'an IPv4 address besides loopback',
  source: 'a network interface that is up',
  isMet: async () => findMachineAddress() !== undefined,
};

const START_TIMEOUT_MS = 120_000;

/** Disables filters that only Istio's build of Envoy has. */
const STOCK_ENVOY = {
  PILOT_ENABLE_ALPN_FILTER: 'false',
  PILOT_ENABLE_METADATA_EXCHANGE: 'false',
  PILOT_DISABLE_MX_ALPN: 'true',
  PILOT_ENABLE_TELEMETRY_LABEL: 'false',
  PILOT_ENDPOINT_TELEMETRY_LABEL: 'false',
};

export interface RunningIstio {
  readonly envoyVersion: string;
  istiodOutput(): string;
  /** Every object with this name in the configuration that Envoy received from istiod, at any depth. */
  configured(name: string): Promise<readonly SampleObject[]>;
  stop(): Promise<void>;
}

interface GatewayPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Starts istiod, which reads the API server, and an Envoy that gets its configuration as a pod of that gateway. */
export async function startIstio(
  api: KubernetesApi,
  meshConfig: SampleObject,
  gateway: GatewayPod,
): Promise<RunningIstio> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-'));
  const meshFile = join(folder, 'mesh.json');
  writeFileSync(meshFile, JSON.stringify({ ...meshConfig, enableAutoMtls: false }));
  const [xds, http, monitoring] = [await freePort(), await freePort(), await freePort()];
  const istiod = startTool(
    'pilot-discovery',
    [
      'discovery',
      `--kubeconfig=${api.kubeconfig}`,
      `--meshConfig=${meshFile}`,
      '--networksConfig=',
      `--grpcAddr=127.0.0.1:${xds}`,
      '--secureGRPCAddr=',
      `--httpAddr=127.0.0.1:${http}`,
      '--httpsAddr=',
      `--monitoringAddr=127.0.0.1:${monitoring}`,
      '--ctrlz_port=0',
      '--shutdownDuration=1s',
    ],
    {
      ...STOCK_ENVOY,
      POD_NAME: 'istiod-0',
      POD_NAMESPACE: 'istio-system',
      ENABLE_CA_SERVER: 'false',
      PILOT_CERT_PROVIDER: 'none',
      XDS_AUTH: 'false',
      INJECTION_WEBHOOK_CONFIG_NAME: '',
      VALIDATION_WEBHOOK_CONFIG_NAME: '',
    },
  );
  const stop = async (): Promise<void> => {
    await istiod.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await isReady(http))) {
      if (!istiod.isRunning() || Date.now() > deadline) {
        throw new Error(`istiod does not become ready: ${istiod.output().slice(-2000)}`);
      }
      await sleep(300);
    }
    const envoy = await startEnvoy(bootstrap(gateway, xds));
    return {
      envoyVersion: envoy.version,
      istiodOutput: istiod.output,
      async configured(name) {
        const response = await fetch(`http://${envoy.admin}/config_dump`);
        const { configs } = (await response.json()) as { configs: SampleObject[] };
        const fromIstiod = configs.filter((config) => !config['@type'].endsWith('.BootstrapConfigDump'));
        return objectsNamed(fromIstiod, name);
      },
      async stop() {
        await envoy.stop();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function isReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
  return response?.ok ?? false;
}

function objectsNamed(node: unknown, name: string): SampleObject[] {
  if (typeof node !== 'object' || node === null) return [];
  const below = Object.values(node).flatMap((child) => objectsNamed(child, name));
  return 'name' in node && node.name === name ? [node as SampleObject, ...below] : below;
}

/** The bootstrap that istio-agent writes for the Envoy of a gateway pod. */
function bootstrap({ namespace, labels }: GatewayPod, xdsPort: number): object {
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const socketAddress = (port: number) => ({ address: '127.0.0.1', port_value: port });
  const ads = { ads: {}, resource_api_version: 'V3' };
  return {
    node: {
      id: `router~127.0.0.1~gateway-1.${namespace}~${namespace}.svc.cluster.local`,
      cluster: `gateway.${namespace}`,
      metadata: {
        NAMESPACE: namespace,
        NAME: 'gateway-1',
        CLUSTER_ID: 'Kubernetes',
        ISTIO_VERSION: '1.31.0',
        LABELS: labels,
      },
    },
    admin: { address: { socket_address: socketAddress(0) } },
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
    },
    static_resources: {
      clusters: [
        {
          name: 'xds-grpc',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            [http2]: {
              '@type': `type.googleapis.com/${http2}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds-grpc',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: { socket_address: socketAddress(xdsPort) } } }] },
            ],
          },
        },
      ],
    },
  };
}

/** An address of this machine that Kubernetes accepts as a pod's. */
export function machineAddress(): string {
  const address = findMachineAddress();
  if (address === undefined) throw new Error('this machine has no IPv4 address besides loopback');
  return address;
}

function findMachineAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

/** The EndpointSlice of a Service: one server at an address of this machine. */
export function endpointsAt(
  namespace: string,
  service: string,
  portName: string,
  address: string,
): SampleObject {
  const colon = address.lastIndexOf(':');
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      name: `${service}-test`,
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: portName, port: Number(address.slice(colon + 1)), protocol: 'TCP' }],
    endpoints: [{ addresses: [address.slice(0, colon)], conditions: { ready: true } }],
  };
}
