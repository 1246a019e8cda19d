// A headless Chromium for the browser tests, if the machine has one.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Returns the path of Chromium: CHROMIUM, or Debian's; undefined if there is none. */
export function findChromium(): string | undefined {
  const path = process.env.CHROMIUM || '/usr/bin/chromium';
  // A Chromium that is named must exist: CI would skip the tests unnoticed.
  return process.env.CHROMIUM || existsSync(path) ? path : undefined;
}

export function startChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no Chromium: install it, or name one in CHROMIUM');
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
