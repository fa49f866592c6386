/** Tests that a draining instance behind envoy.yaml loses no request, even without retries. */
import { expect, test } from 'vitest';
import { checksOf, more, SOME, startPair, withoutRetries } from '../support/instance-pair.ts';

test('a drain loses no request without retries either, as health checks move Envoy to the other instance first', async () => {
  // Longer than the default, as health checks may be late on a busy machine.
  const pair = await startPair('drain: {delaySeconds: 8}', withoutRetries);
  try {
    const load = pair.startLoad();
    await more(load, SOME);
    expect(await checksOf(pair.one)).toBeGreaterThan(0);
    pair.one.service().signal('SIGTERM');
    expect(await pair.one.service().ended).toBe(0);
    expect((await load.stop()).failures).toEqual([]);
  } finally {
    await pair.stop();
  }
});
