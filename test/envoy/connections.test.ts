/** Tests what renewed connections and keepalive PINGs cost clients: two instances behind envoy.yaml, under load. */
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/envoy.ts';
import {
  type InstancePair,
  more,
  report,
  SOME,
  startPair,
  withoutRetries,
} from '../support/instance-pair.ts';

describe('a connection', () => {
  const RENEWALS = 6;
  let pair: InstancePair;
  afterEach(() => pair.stop());

  async function loadOverRenewals() {
    const before = (await pair.clusterStat('upstream_cx_close_notify')) ?? 0;
    const load = pair.startLoad();
    await eventually(
      async () =>
        Number(await pair.clusterStat('upstream_cx_close_notify')) >= before + RENEWALS || undefined,
    );
    return load.stop();
  }

  test('that is renewed every two seconds loses no request with the retries of envoy.yaml', async () => {
    pair = await startPair('connection: {maxAgeSeconds: 2}');
    expect((await loadOverRenewals()).failures).toEqual([]);
  });

  test('that is renewed fails only checks that meet its GOAWAY when there are no retries, with 503', async () => {
    pair = await startPair('connection: {maxAgeSeconds: 2}', withoutRetries);
    const { failures, sent } = await loadOverRenewals();
    report(
      `renewed connections without retries: ${failures.length} of ${sent} requests failed in ${RENEWALS} renewals`,
    );
    expect(failures.filter(({ result }) => result !== '503')).toEqual([]);
    expect(failures.length).toBeLessThan(sent);
  });

  test('is not closed because of a PING every second', async () => {
    pair = await startPair('{}', ({ document }) => {
      const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
      const keepalive = ['explicit_http_config', 'http2_protocol_options', 'connection_keepalive'];
      const path = [
        'static_resources',
        'clusters',
        0,
        'typed_extension_protocol_options',
        options,
        ...keepalive,
      ];
      expect(document.getIn([...path, 'interval'])).toBe('10s');
      document.setIn([...path, 'interval'], '1s');
      // A busy machine may answer late, which is not what this tests.
      document.setIn([...path, 'timeout'], '20s');
    });
    const load = pair.startLoad();
    await more(load, 6 * SOME);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(
      await pair.envoy.stats(
        '^cluster\\.approov_authz\\.(upstream_cx_close_notify|upstream_cx_destroy|http2\\.keepalive_timeout)$',
      ),
    ).toEqual({
      'cluster.approov_authz.upstream_cx_close_notify': 0,
      'cluster.approov_authz.upstream_cx_destroy': 0,
      'cluster.approov_authz.http2.keepalive_timeout': 0,
    });
  });
});
