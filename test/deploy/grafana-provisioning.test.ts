/** Checks that Grafana's provisioning fits the compose file that mounts it. */
import { describe, expect, test } from 'vitest';
import { readYaml } from '../support/sample-files.ts';

describe('the provisioning', () => {
  test('connects to the Prometheus of the compose file, with its scrape interval', () => {
    const { datasources } = readYaml('deploy/grafana/provisioning/datasources/prometheus.yaml');
    const { global } = readYaml('deploy/prometheus/prometheus.yaml');
    expect(datasources).toHaveLength(1);
    expect(datasources[0]).toMatchObject({
      type: 'prometheus',
      url: 'http://prometheus:9090',
      isDefault: true,
    });
    expect(datasources[0].jsonData.timeInterval).toBe(global.scrape_interval);
    const { services } = readYaml('deploy/docker-compose.yaml');
    expect(services).toHaveProperty('prometheus');
  });

  test('finds the dashboard where the compose file mounts it', () => {
    const { providers } = readYaml('deploy/grafana/provisioning/dashboards/approov.yaml');
    const { services } = readYaml('deploy/docker-compose.yaml');
    const volumes = services.grafana.volumes as string[];
    expect(providers).toHaveLength(1);
    const { path } = providers[0].options as { path: string };
    expect(
      volumes.some((volume) => new RegExp(`^\\./grafana(/dashboard\\.json)?:${path}[/:]`).test(volume)),
    ).toBe(true);
    expect(volumes).toContain('./grafana/provisioning:/etc/grafana/provisioning:ro');
  });
});
