// Where the files that ship beside the code are: migrations/ and config/, in the checkout as in the package.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The path of a file below the package's root. In the package the code lies one folder deeper (dist/src). */
export function packageFile(...parts: string[]): string {
  return join(root, ...parts);
}

/** The version of this program. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version;
}

const root = packageRoot(import.meta.dirname);

function packageRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : packageRoot(dirname(from));
}
