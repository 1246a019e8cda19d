#!/usr/bin/env node
// Starts the command line: the compiled one of the package, or the sources in a checkout that was not built.
// Plain JavaScript that an old Node can read too, so that it can say which Node is needed.
import { existsSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const newEnough = major > 22 || (major === 22 && minor >= 18);
const compiled = new URL('../dist/src/cli/main.js', import.meta.url);
const source = new URL('../src/cli/main.ts', import.meta.url);
const checkout = existsSync(source);

if (!newEnough && checkout) {
  // A checkout brings a Node of its own, which npm puts first in the path.
  stop(`needs Node 22.18 or newer, this is ${process.versions.node}. In a checkout run: npm run -s entra-sync -- VERB`);
} else if (!newEnough) {
  stop(`needs Node 22.18 or newer, this is ${process.versions.node}. Install it from https://nodejs.org`);
} else if (existsSync(compiled)) {
  await import(compiled.href);
} else if (checkout) {
  await import(source.href);
} else {
  stop('is not complete: dist/ is missing. Install the published package, or in a checkout run: npm run build');
}

function stop(reason) {
  console.error(`entra-sync ${reason}`);
  process.exitCode = 2;
}
