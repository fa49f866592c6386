/** Metrics of keys: their use, and the age of JWK Sets fetched from a URL. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { CheckRecord } from './check-observer.ts';
import { registerFastMetric } from './fast-metrics.ts';

export const KEY_LAST_USED = 'approov_key_last_used_timestamp_seconds';

export function createKeyMetrics(registry: Registry) {
  let keyIds: readonly string[] = [];
  const verifications = registerFastMetric(registry, Counter, {
    name: 'approov_key_verifications_total',
    help: 'Signatures verified with a key.',
    labelNames: ['key_id'],
  });
  const lastUsed = registerFastMetric(registry, Gauge, {
    name: KEY_LAST_USED,
    aggregator: 'max',
    help: 'When a key last verified a signature; 0 if never.',
    labelNames: ['key_id'],
  });
  const jwksAges = registerJwksAges(registry);

  function countUse(key_id: string, nowSeconds: number): void {
    verifications.add(key_id, { key_id }).value++;
    lastUsed.add(key_id, { key_id }).value = nowSeconds;
  }

  return {
    checkDone({ decision: { verifiedToken, messageSignature }, nowSeconds }: CheckRecord): void {
      if (verifiedToken === undefined) return;
      countUse(verifiedToken.keyId, nowSeconds);
      if (messageSignature === undefined || messageSignature.kind === 'not_required') return;
      for (const { key } of messageSignature.signatures)
        if (key.keyId !== undefined) countUse(key.keyId, nowSeconds);
    },

    /** Exposes these keys, and drops the series of all others. */
    keysLoaded(next: readonly string[]): void {
      for (const key_id of keyIds) {
        if (next.includes(key_id)) continue;
        verifications.delete(key_id);
        lastUsed.delete(key_id);
      }
      for (const key_id of next) {
        verifications.add(key_id, { key_id });
        lastUsed.add(key_id, { key_id });
      }
      keyIds = next;
    },

    /** Sets the function that returns the age of each fetched JWK Set, in seconds by key id. */
    jwksAgesFrom: jwksAges.readFrom,
  };
}

function registerJwksAges(registry: Registry) {
  let ages: () => ReadonlyMap<string, number> = () => new Map();
  new Gauge({
    name: 'approov_jwks_age_seconds',
    aggregator: 'max',
    help: 'Age of a JWK Set fetched from its URL.',
    labelNames: ['key_id'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key_id, age] of ages()) this.set({ key_id }, age);
    },
  });
  return {
    readFrom(source: () => ReadonlyMap<string, number>): void {
      ages = source;
    },
  };
}
