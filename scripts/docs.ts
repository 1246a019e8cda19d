// Makes the site of the documentation from the Markdown of the tree: builds it, shows it (--preview), or follows edits (--dev).
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const site = join(import.meta.dirname, '..', 'site');
const vitepress = join(site, 'node_modules', 'vitepress', 'dist', 'node', 'cli.js');
const [first, ...rest] = process.argv.slice(2);
const verb = first === '--dev' || first === '--preview' ? first.slice(2) : 'build';

if (!existsSync(vitepress)) execFileSync('npm', ['ci', '--prefix', site], { stdio: 'inherit' });
// The tool reads its arguments from the process. In this process, so that one signal ends it.
process.argv.splice(
  2,
  Number.POSITIVE_INFINITY,
  verb,
  site,
  ...(verb === 'build' && first !== undefined ? [first] : []),
  ...rest,
);
await import(pathToFileURL(vitepress).href);
