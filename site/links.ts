// Links of the pages to files of the tree: a README is its folder's index, and a file that is no page is shown as plain text.
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { pagesOfTheSite } from './sidebar.ts';

type Token = {
  readonly type: string;
  readonly children: readonly Token[] | null;
  attrGet(name: string): string | null;
  attrSet(name: string, value: string): void;
};
type State = { readonly tokens: readonly Token[]; readonly env: { readonly relativePath: string } };
type Markdown = { readonly core: { readonly ruler: { push(name: string, rule: (state: State) => void): void } } };

/** Makes links of the tree fit the site. `linked` gets the paths of files and folders that the pages link to. */
export function linksOfTheTree(markdown: Markdown, root: string, linked: Set<string>): void {
  markdown.core.ruler.push('links-of-the-tree', ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      // Braces in code are of the text: Vue would take them for an expression.
      if (token.type === 'code_inline') token.attrSet('v-pre', '');
      const href = token.type === 'link_open' ? token.attrGet('href') : null;
      if (href === null || /^([a-z]+:|#|\/)/.test(href)) continue;
      const [path = '', anchor] = href.split('#');
      const folder = dirname(env.relativePath);
      const file = normalize(join(folder, path));
      if (pagesOfTheSite.includes(file)) {
        const page = path.replace(/README\.md$/, 'index.md');
        token.attrSet('href', anchor === undefined ? page : `${page}#${anchor}`);
      } else {
        if (!existsSync(join(root, file))) throw new Error(`${env.relativePath} links to ${href}, which is not there`);
        linked.add(file);
        token.attrSet('href', relative(join(root, folder), join(root, placeOf(file))));
        token.attrSet('target', '_self');
      }
    }
  });
}

/** Returns the place of a file on the site: a browser shows it as text, or as the picture that it is. */
function placeOf(path: string): string {
  return path.endsWith('.png') ? `files/${path}` : `files/${path}.txt`;
}

/** Copies the files that the pages link to; a folder becomes the list of its files, which are copied too. */
export async function copyLinkedFiles(root: string, outDir: string, linked: ReadonlySet<string>): Promise<void> {
  for (const path of linked) {
    const place = join(outDir, placeOf(path));
    await mkdir(dirname(place), { recursive: true });
    if ((await stat(join(root, path))).isFile()) await cp(join(root, path), place);
    else await writeFile(place, `${(await readdir(join(root, path))).sort().join('\n')}\n`);
  }
}
