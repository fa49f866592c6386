/** Checks docs/recipes.md: the service accepts each configuration and decides as its table says, and Envoy accepts the snippets. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { validateConfig } from '../../scripts/envoy.mjs';
import type { Decision } from '../../src/authz/decide.ts';
import { evaluate } from '../../src/authz/evaluate.ts';
import { TokenVerifier } from '../../src/authz/token-verifier.ts';
import type { KeyConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/sources/config-store.ts';
import { fetchKeyset } from '../../src/sources/key-store.ts';
import { checkRequest, NOW } from '../support/check.ts';
import { createScratch } from '../support/checked-service.ts';
import { readEnvoySample } from '../support/envoy.ts';
import { codeBlocksOf, readPage, sectionsOf, tableRows } from '../support/markdown.ts';
import { checkConfigOf, insertSnippet, secretOf, writePageConfig } from '../support/page-config.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../support/token.ts';

const scratch = createScratch('recipes');
afterAll(() => scratch.remove());
const RECIPES = [...sectionsOf(readPage('docs/recipes.md'))];

const CLAIMS = { iss: 'example.approov.io', aud: 'api.example.com' };

/** The token of a table cell such as "valid, of `eu`, bound to `Bearer abc`"; `undefined` for "none". */
function tokenOf(cell: string, keys: readonly KeyConfig[]): string | undefined {
  if (cell.startsWith('none')) return undefined;
  const keyId = /of `([\w-]+)`/.exec(cell)?.[1];
  const key = keys.find(({ id }) => keyId === undefined || id === keyId);
  const bound = /bound to `([^`]+)`/.exec(cell)?.[1];
  const claims = {
    exp: cell.startsWith('expired') ? NOW - 1 : NOW + 300,
    ...(bound === undefined ? {} : { pay: createHash('sha256').update(bound).digest('base64') }),
    ...(cell.includes('`iss`') ? CLAIMS : {}),
  };
  const kid = cell.includes('without `kid`') ? undefined : key?.kid;
  return mintToken(claims, {
    header: kid === undefined ? {} : { kid },
    secret: cell.startsWith('forged') ? OTHER_SECRET_BYTES : secretOf(key?.id ?? ''),
  });
}

/** The headers that a cell names after "with", such as "with `origin: https://app.example.com`". */
function headersOf(cell: string): Record<string, string> {
  const [, named = ''] = /, with (.*)/.exec(cell) ?? [];
  return Object.fromEntries(
    [...named.matchAll(/`([\w-]+): ([^`]+)`/g)].map(([, name = '', value = '']) => [name, value]),
  );
}

const OUTCOMES = { allow: 'allowed', limit: 'limited', deny: '401' };

function outcomeOf({ action, reason }: Decision): string {
  return `${OUTCOMES[action]}, \`${reason}\``;
}

describe.each(RECIPES)('the recipe "%s"', (name, section) => {
  const [yaml] = codeBlocksOf(section).filter(({ language }) => language === 'yaml');
  const config = writePageConfig(scratch.path(name.replaceAll(/\W+/g, '-')), yaml?.text ?? '');

  test('is a configuration that check-config accepts without a warning', async () => {
    expect(await checkConfigOf(config)).toEqual(['exit 0', expect.stringMatching(/^ok: /)]);
  });

  test('decides requests as its table says', async () => {
    const rows = tableRows(section, 'request');
    expect(rows.length).toBeGreaterThan(1);
    const { config: loaded, keys } = await loadConfig(config, {});
    const { keyset } = await fetchKeyset(keys, loaded.proxy);
    const verifier = new TokenVerifier({
      keyset,
      decryptionKeys: [],
      messageSigningKeys: [],
      tokenCacheEntries: 0,
    });
    const outcomes: string[][] = [];
    for (const [request = '', tokenCell = ''] of rows) {
      const [, method = '', host = '', path = ''] = /`([A-Z]+) ([^/]+)(\/[^`]*)`/.exec(request) ?? [];
      const token = tokenOf(tokenCell, loaded.keys);
      const decision = await evaluate(
        checkRequest({
          method,
          host,
          path,
          policyName: /policy `([\w-]+)`/.exec(request)?.[1],
          headers: { ...headersOf(tokenCell), ...(token === undefined ? {} : { 'approov-token': token }) },
        }),
        { policyTable: loaded.policyTable, verifier },
        () => NOW,
      );
      outcomes.push([request, tokenCell, outcomeOf(decision)]);
    }
    expect(outcomes).toEqual(rows);
  });
});

describe('the snippets for Envoy in docs/recipes.md', () => {
  const recipes = RECIPES.map(
    ([name, section]) => [name, codeBlocksOf(section).filter(({ text }) => text.startsWith('# '))] as const,
  ).filter(([, snippets]) => snippets.length > 0);

  test('are found on the page: more than seven', () => {
    expect(recipes.flatMap(([, snippets]) => snippets).length).toBeGreaterThan(7);
  });

  test.each(recipes)(
    'say where they belong, and are valid there in envoy.yaml: "%s"',
    async (name, snippets) => {
      const sample = readEnvoySample();
      for (const { text } of snippets) insertSnippet(sample, text);
      const key = { kty: 'oct', alg: 'HS256', k: secretOf('current').toString('base64url') };
      const jwks = scratch.write('jwks.json', JSON.stringify({ keys: [key] }));
      const file = scratch.path(`${name.replaceAll(/\W+/g, '-')}.envoy.yaml`);
      writeFileSync(file, sample.document.toString().replaceAll('/etc/envoy/approov-jwks.json', jwks));
      expect(await validateConfig(file)).toBeUndefined();
    },
  );
});
