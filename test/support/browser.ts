/** Opens pages in a headless Chromium, and notes what a page does besides showing its content. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Requirement } from './requirement.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) =>
    existsSync(path),
  );
}

export const CHROMIUM: Requirement = {
  name: 'chromium',
  source: 'apt-get install chromium, or the package of your system',
  isMet: async () => findChromium() !== undefined,
};

export function startBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('there is no chromium on the PATH');
  // Without a sandbox, which needs privileges that a container may not have; the pages are our own.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

export interface OpenPage {
  readonly page: Page;
  /** Messages of the console, which has violations of the Content-Security-Policy too, and uncaught errors. */
  readonly messages: readonly string[];
  /** URLs that were requested. */
  readonly requests: readonly string[];
}

interface View {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
  /** Without it, nothing of a page runs. */
  readonly javaScriptEnabled?: boolean;
}

export async function openPage(
  browser: Browser,
  url: string,
  { width, colorScheme, javaScriptEnabled = true }: View,
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme,
    javaScriptEnabled,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const messages: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  return { page, messages, requests };
}

interface Contrast {
  readonly text: string;
  readonly contrast: number;
}

/** The contrast of each visible text with what is behind it (WCAG 2.2, §1.4.3). */
export function contrastsOf(page: Page): Promise<readonly Contrast[]> {
  return page.evaluate(CONTRASTS) as Promise<readonly Contrast[]>;
}

/** Runs in the page. */
const CONTRASTS = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each);
      if (channels(backgroundColor)[3] !== 0) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: element, textContent } = walker.currentNode;
    if (textContent.trim() === '' || !element.checkVisibility() || element.closest('svg') !== null) continue;
    const [text, back] = [getComputedStyle(element).color, behind(element)].map(luminance);
    const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    found.push({ text: textContent.trim(), contrast });
  }
  return found;
})()`;
