/** Tests the rollout page as a browser shows it: content, colours, a phone, and that it loads and runs nothing else. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminServer, createAdminServer } from '../../src/admin/admin-server.ts';
import { formatAddress } from '../../src/config/address.ts';
import { CHROMIUM, contrastsOf, type OpenPage, openPage, startBrowser } from '../support/browser.ts';
import { unmet } from '../support/requirement.ts';
import { reportOfDay } from '../support/rollout-day.ts';

const withoutChromium = await unmet([CHROMIUM], 'that browsers show the rollout page as meant');

/** Set to a file for the screenshot of docs/rollout.md. */
const SCREENSHOT = process.env['ROLLOUT_SCREENSHOT'];
const AREA = { x: 0, y: 0, width: 1100, height: 1013 };

/** Of a policy without a check. */
const UNUSED =
  '? Can’t tell: 0 checks judged in the last 24 h, fewer than 10,000; 0 checks of app version 7.3, fewer than 100.';

describe.skipIf(withoutChromium !== '')(`the rollout page${withoutChromium}`, () => {
  let server: AdminServer;
  let browser: Browser;
  let origin: string;
  let light: OpenPage;

  beforeAll(async () => {
    const report = reportOfDay();
    const fail = (error: unknown): never => {
      throw error;
    };
    server = createAdminServer({
      readiness: () => ({ isReady: true, components: {} }),
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      configuration: () => '',
      rollout: async () => report,
      overrides: { active: () => [], apply: () => ({ kind: 'unknown_policy', known: [] }) },
      onError: fail,
      onListenerError: fail,
    });
    origin = `http://${formatAddress(await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }))}`;
    browser = await startBrowser();
    light = await openPage(browser, `${origin}/rollout`, { width: 1100, colorScheme: 'light' });
    if (SCREENSHOT !== undefined)
      await light.page.screenshot({ path: SCREENSHOT, fullPage: true, clip: AREA });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  test('has one main heading, and one below it for each policy and for the service', async () => {
    const { page } = light;
    expect(await page.locator('h1').allTextContents()).toEqual(['Who would be locked out?']);
    expect(await page.locator('h2').allTextContents()).toEqual([
      'Policy default mode observe, default policy',
      'Policy payments mode enforce',
      'Policy open mode off',
      'Policy profile mode enforce for 25\u00a0% of devices',
      'Policy checkout mode observe (overridden; configured: enforce for 50\u00a0% of devices)',
      'Keys and reloads',
    ]);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
  });

  test('assesses each policy in a sentence', async () => {
    const sentences = await light.page.locator('.verdict p:first-child').allInnerTexts();
    expect(sentences.map((sentence) => sentence.replaceAll('\u00a0', ' '))).toEqual([
      '✕ Not yet: enforcing denies 754 of 95,805 checks (0.79 %), more than 0.1 %; in the hour from 20:00 UTC, 449 of 7,773 checks (5.8 %), more than 1 %.',
      '✓ Safe: the policy is enforced, and refused 0 of 47,886 checks (0 %) in the last 24 h.',
      '? Can’t tell: the policy is off, so no check is judged; set it to observe.',
      UNUSED,
      UNUSED,
    ]);
  });

  test('has a caption and the scope of every heading in each table', async () => {
    const { page } = light;
    const tables = await page.locator('table').count();
    expect(tables).toBe(9);
    expect(await page.locator('table > caption').count()).toBe(tables);
    expect(await page.locator('th:not([scope])').count()).toBe(0);
  });

  test('draws a chart for each window, and marks the worst hour', async () => {
    const charts = light.page.getByRole('img');
    expect(await charts.count()).toBe(3);
    const names = await Promise.all([0, 1, 2].map((index) => charts.nth(index).getAttribute('aria-label')));
    expect(names.map((name) => name?.replaceAll('\u00a0', ' '))).toEqual([
      '5 min: 0 % of 66 checks refused',
      '1 h: 0.44 % of 683 checks refused',
      '24 h: 0.79 % of 95,805 checks refused; in the worst hour, from yesterday 20:00 UTC, 5.8 %',
    ]);
    expect(await light.page.locator('.times span:first-child').allInnerTexts()).toEqual([
      '05:55',
      '05:00',
      'yesterday 06:00',
    ]);
    expect(await light.page.locator('.charts .soft').textContent()).toMatch(
      /^▼ Worst hour, from yesterday 20:00:/,
    );
    const [bar, mark] = await Promise.all(
      ['rect.g3', 'polygon.mark'].map((part) => light.page.locator(`svg ${part}`).first().boundingBox()),
    );
    // The mark is above the bar of that hour.
    expect((mark?.x ?? 0) + (mark?.width ?? 0) / 2).toBeCloseTo((bar?.x ?? 0) + (bar?.width ?? 0) / 2, 0);
    expect((mark?.y ?? 0) + (mark?.height ?? 0)).toBeLessThanOrEqual(bar?.y ?? 0);
  });

  test('requests nothing but itself, and leaves the console empty', () => {
    expect(light.requests).toEqual([`${origin}/rollout`]);
    expect(light.messages).toEqual([]);
  });

  test('is styled under a policy that allows nothing but its own style sheet', async () => {
    const response = await fetch(`${origin}/rollout`);
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    expect(await light.page.locator('script, link, [style], [onclick]').count()).toBe(0);
    expect(await light.page.locator('.swatch.g0').first().evaluate(colourOf)).toBe('rgb(37, 99, 235)');
  });

  test.each([
    ['light', 'rgb(246, 247, 249)'],
    ['dark', 'rgb(13, 17, 23)'],
  ] as const)('has readable contrast in %s colours', async (colorScheme, background) => {
    const { page, messages } = await openPage(browser, `${origin}/rollout`, { width: 1100, colorScheme });
    expect(await page.locator('body').evaluate(colourOf)).toBe(background);
    const contrasts = await contrastsOf(page);
    expect(contrasts.length).toBeGreaterThan(100);
    // WCAG 2.2, AA for text.
    expect(contrasts.filter(({ contrast }) => contrast < 4.5)).toEqual([]);
    expect(messages).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('fits on a phone (%s)', async (colorScheme) => {
    const { page } = await openPage(browser, `${origin}/rollout`, { width: 375, colorScheme });
    const widths = await page.evaluate(
      '[...document.querySelectorAll("html, .wide, pre")].map((each) => each.scrollWidth - each.clientWidth)',
    );
    expect(new Set(widths as number[])).toEqual(new Set([0]));
  });

  test('refreshes itself without JavaScript, unless that is turned off', async () => {
    const { page } = await openPage(browser, `${origin}/rollout`, {
      width: 375,
      colorScheme: 'light',
      javaScriptEnabled: false,
    });
    const refresh = page.locator('meta[http-equiv=refresh]');
    expect(await refresh.getAttribute('content')).toBe('30');
    await page.getByText('By reason').first().click();
    expect(await page.getByRole('table', { name: 'Refused checks by reason' }).isVisible()).toBe(true);
    await page.getByRole('link', { name: 'stop' }).click();
    expect(await refresh.count()).toBe(0);
    await page.getByRole('link', { name: 'refresh again' }).click();
    expect(await refresh.count()).toBe(1);
  });

  test('is linked from the index of the admin pages', async () => {
    const { page, messages } = await openPage(browser, `${origin}/`, { width: 375, colorScheme: 'dark' });
    await page.getByRole('link', { name: '/rollout', exact: true }).click();
    expect(await page.title()).toBe('Rollout · approov-ext-authz');
    expect(messages).toEqual([]);
  });
});

/** Runs in the page. */
function colourOf(element: unknown): string {
  return (
    globalThis as unknown as { getComputedStyle(of: unknown): { backgroundColor: string } }
  ).getComputedStyle(element).backgroundColor;
}
