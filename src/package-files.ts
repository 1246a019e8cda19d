// Finds the files that ship with the code, in the checkout and in the package.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Returns the path of a file below the package's root. */
export function packageFile(...parts: string[]): string {
  return join(root, ...parts);
}

/** Returns the version of this program. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version;
}

const root = packageRoot(import.meta.dirname);

function packageRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : packageRoot(dirname(from));
}
