// The site of the documentation: it is built from the Markdown of the tree, its links lead somewhere, and a browser shows it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type DefaultTreeAdapterTypes, parse } from 'parse5';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pagesOfTheSite } from '../../site/sidebar.ts';
import { packageFile } from '../../src/package-files.ts';
import { findChromium, startChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { readPage } from '../support/pages.ts';

const built = packageFile('site', 'dist');

function runDocs(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [packageFile('scripts', 'docs.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function outputOf(child: ChildProcess): { text: string } {
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output.text += chunk;
      child.emit('shown');
    });
  return output;
}

beforeAll(async () => {
  rmSync(built, { recursive: true, force: true });
  const build = runDocs();
  const output = outputOf(build);
  const [code] = await once(build, 'close');
  expect(code, output.text).toBe(0);
  expect(output.text).not.toMatch(/warn/i);
});

/** Returns the ids and the addresses of links and pictures of a page. */
function readHtml(file: string) {
  const ids = new Set<string>();
  const addresses: string[] = [];
  const visit = (node: DefaultTreeAdapterTypes.Node) => {
    if ('attrs' in node)
      for (const { name, value } of node.attrs) {
        if (name === 'id') ids.add(value);
        if (name === 'href' || name === 'src') addresses.push(value);
      }
    if ('childNodes' in node) for (const child of node.childNodes) visit(child);
  };
  visit(parse(readFileSync(file, 'utf8')));
  return { ids, addresses };
}

/** Returns the file that the site serves at an address. */
function fileAt(from: string, path: string): string {
  const at = path.startsWith('/') ? join(built, path) : resolve(dirname(from), path);
  if (path.endsWith('/')) return join(at, 'index.html');
  return existsSync(at) ? at : `${at}.html`;
}

test('every link of every page leads to a page, a heading or a file of the site', () => {
  const files = readdirSync(built, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.html') && name !== '404.html')
    .map((name) => join(built, name));
  expect(files).toHaveLength(pagesOfTheSite.length);
  const pages = new Map(files.map((file) => [file, readHtml(file)]));
  let anchors = 0;
  for (const [file, { ids, addresses }] of pages)
    for (const address of addresses) {
      if (/^[a-z]+:/.test(address)) continue;
      const [path = '', anchor] = decodeURIComponent(address).split('#');
      const target = path === '' ? file : fileAt(file, path);
      expect(existsSync(target), `${file}: ${address}`).toBe(true);
      if (!anchor) continue;
      anchors += 1;
      expect(path === '' ? ids : pages.get(target)?.ids, `${file}: ${address}`).toContain(anchor);
    }
  expect(anchors).toBeGreaterThan(200);
});

test('code with braces is shown as it stands', () => {
  expect(readFileSync(join(built, 'docs', 'contract.html'), 'utf8')).toContain('<code>{{field}}</code>');
});

describe.runIf(findChromium())('in a browser', () => {
  let browser: Browser;
  let preview: ChildProcess;
  let url: string;

  beforeAll(async () => {
    browser = await startChromium();
    url = `http://localhost:${await freePort()}`;
    preview = runDocs('--preview', '--port', new URL(url).port);
    const output = outputOf(preview);
    await new Promise<void>((done, failed) => {
      preview.on('shown', () => output.text.includes(url) && done());
      preview.on('close', () => failed(new Error(output.text)));
    });
  });

  afterAll(async () => {
    await browser?.close();
    if (preview?.kill('SIGTERM')) await once(preview, 'close');
  });

  const windows = [
    { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
    { name: 'desktop, dark', width: 1280, height: 900, colorScheme: 'dark' },
    { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
    { name: 'phone, dark', width: 390, height: 844, colorScheme: 'dark' },
  ] as const;

  async function openWindow({ width, height, colorScheme }: (typeof windows)[number]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) complaints.push(request.url());
    });
    return { context, page, complaints };
  }

  /** Reads a page to its end, so that lazy pictures load, and looks at what is in it. */
  async function look(page: Page) {
    await page.waitForLoadState('networkidle');
    return page.evaluate(`(async () => {
      const pictures = [...document.querySelectorAll('main img')];
      await Promise.all(pictures.map((one) => one.decode()));
      return {
        wide: document.documentElement.scrollWidth > innerWidth,
        pictures: pictures.filter((one) => one.naturalWidth > 100).length,
        background: getComputedStyle(document.body).backgroundColor,
      };
    })()`) as Promise<{ wide: boolean; pictures: number; background: string }>;
  }

  const shown = [
    { path: '/', page: 'README.md' },
    { path: '/docs/web', page: 'docs/web.md' },
    { path: '/docs/architecture', page: 'docs/architecture.md' },
    { path: '/docs/contract', page: 'docs/contract.md' },
    { path: '/docs/settings', page: 'docs/settings.md' },
  ];

  test.each(windows)('$name: pages have their pictures and diagrams, and no scroll bar across', async (window) => {
    const { context, page, complaints } = await openWindow(window);
    for (const one of shown) {
      await page.goto(`${url}${one.path}`);
      const { text, blocks } = readPage(one.page);
      const diagrams = blocks.filter(({ language }) => language === 'mermaid').length;
      for (let at = 0; at < diagrams; at += 1) await page.locator('main .mermaid svg').nth(at).waitFor();
      const found = await look(page);
      expect({ ...found, diagrams: await page.locator('main .mermaid svg').count() }, one.path).toEqual({
        wide: false,
        pictures: text.match(/!\[/g)?.length ?? 0,
        background: window.colorScheme === 'dark' ? 'rgb(27, 27, 31)' : 'rgb(255, 255, 255)',
        diagrams,
      });
    }
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('the search finds a word in a page and opens its heading', async () => {
    const { context, page, complaints } = await openWindow(windows[0]);
    await page.goto(url);
    await page.getByRole('button', { name: 'Search' }).first().click();
    await page.getByRole('searchbox').fill('pgbouncer');
    const result = page.locator('#localsearch-list a').first();
    await result.waitFor();
    await result.click();
    await page.waitForURL(/\/docs\/[a-z-]+(\.html)?#/);
    expect(await page.locator('main').innerText()).toMatch(/pgbouncer/i);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
