/** Metrics of tokens: remaining lifetime, token cache lookups, and the status words that SDKs send without a token. */
import { Counter, type Registry } from 'prom-client';
import { expirySeconds } from '../approov/claims.ts';
import { SDK_STATUSES } from '../approov/sdk-status.ts';
import type { CheckRecord } from './check-observer.ts';
import { FastHistogram, registerFastHistogram, registerFastMetric } from './fast-metrics.ts';

const REMAINING_BUCKETS = [-3600, -300, -60, -30, -10, -5, 0, 5, 10, 30, 60, 120, 180, 240, 300, 600, 3600];

export function createTokenMetrics(registry: Registry) {
  const remaining = new FastHistogram(REMAINING_BUCKETS);
  registerFastHistogram(
    registry,
    'approov_token_remaining_seconds',
    'exp minus now of tokens with a verified signature; negative if expired.',
    new Map([[{}, remaining]]),
  );
  const lookups = registerFastMetric(registry, Counter, {
    name: 'approov_token_cache_lookups_total',
    help: 'Lookups in the token cache.',
    labelNames: ['outcome'],
  });
  const cacheLookups = {
    hit: lookups.add('hit', { outcome: 'hit' }),
    miss: lookups.add('miss', { outcome: 'miss' }),
  };
  const sdkStatus = new Counter({
    name: 'approov_sdk_status_total',
    help: 'Status words sent by SDKs, most of which say why there is no token.',
    labelNames: ['status'],
    registers: [registry],
  });
  for (const status of [...SDK_STATUSES, 'other']) sdkStatus.inc({ status }, 0);

  return {
    checkDone({ decision, nowSeconds }: CheckRecord): void {
      if (decision.sdkStatus !== undefined) sdkStatus.inc({ status: decision.sdkStatus });
      if (decision.verifiedToken === undefined) return;
      const exp = expirySeconds(decision.verifiedToken);
      if (exp !== undefined) remaining.observe(exp - nowSeconds);
    },

    cacheLookedUp(outcome: 'hit' | 'miss'): void {
      cacheLookups[outcome].value++;
    },
  };
}
