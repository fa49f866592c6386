/** Runs toxiproxy: a TCP proxy that makes the network between two programs fail on demand. */
import { vi } from 'vitest';
import { PATIENCE } from './patience.ts';
import { freePort, type RunningTool, startTool } from './platform-tool.ts';
import { program } from './requirement.ts';

export const TOXIPROXY = program(
  'toxiproxy-server',
  ['-version'],
  'go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0, or a release of Shopify/toxiproxy',
);

/** https://github.com/Shopify/toxiproxy#toxics */
export interface Toxic {
  readonly type: 'latency' | 'reset_peer' | 'slow_close' | 'timeout' | 'bandwidth' | 'limit_data' | 'slicer';
  /** `upstream` is from the client to the server. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

export interface FaultProxy {
  readonly address: string;
  add(toxic: Toxic): Promise<void>;
  /** Removes all toxics. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

/** @param upstream `host:port` of the server behind the proxy. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const [admin, listen] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const tool: RunningTool = startTool('toxiproxy-server', ['-host', '127.0.0.1', '-port', portOf(admin)]);
  const call = async (path: string, body?: object): Promise<void> => {
    const response = await fetch(`http://${admin}${path}`, {
      method: 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`toxiproxy: ${path}: ${response.status} ${await response.text()}`);
  };
  await vi.waitFor(() => call('/reset'), PATIENCE);
  await call('/proxies', { name: 'service', listen, upstream, enabled: true });
  return {
    address: listen,
    add: (toxic) => call('/proxies/service/toxics', toxic),
    // Closes all connections as well, so that none stays in the state of the fault.
    async heal() {
      await call('/reset');
      await call('/proxies/service', { enabled: false });
      await call('/proxies/service', { enabled: true });
    },
    stop: () => tool.stop(),
  };
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}
