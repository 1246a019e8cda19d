// A headless Chromium for the browser tests, where the machine has one.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Chromium is: CHROMIUM, or where Debian puts it; undefined when there is none. */
export function findChromium(): string | undefined {
  const path = process.env.CHROMIUM || '/usr/bin/chromium';
  // One that was named has to be there: in CI nobody would notice that nothing was tested.
  return process.env.CHROMIUM || existsSync(path) ? path : undefined;
}

/** Starts it, with a profile of its own that goes with it. */
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
