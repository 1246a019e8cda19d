// The site of the documentation: the Markdown of the tree as it is, with a search and diagrams that need no network.
import { join } from 'node:path';
import GithubSlugger from 'github-slugger';
import { withMermaid } from 'vitepress-plugin-mermaid';
import { copyLinkedFiles, linksOfTheTree } from '../links.ts';
import { pagesOfTheSite, sidebar, urlOf } from '../sidebar.ts';

const root = join(import.meta.dirname, '..', '..');
const outDir = join(import.meta.dirname, '..', 'dist');
const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#3451b2"/></svg>';
const linked = new Set<string>();

export default withMermaid({
  title: 'entra-sync',
  description: 'Keeps a faithful copy of Microsoft Entra ID users, groups and memberships in Postgres.',
  lang: 'en',
  // In the page: a browser asks for /favicon.ico otherwise, which is not there.
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  srcDir: root,
  srcExclude: ['test/**', 'deploy/**', 'site/**', '.ci/**', '.entra-sync/**'],
  // An address of the reader's machine is no page that could be missing.
  ignoreDeadLinks: 'localhostLinks',
  outDir,
  cacheDir: join(import.meta.dirname, '..', 'node_modules', '.vitepress'),
  // A folder's README is its index, as GitHub shows it.
  rewrites: Object.fromEntries(
    pagesOfTheSite.filter((page) => page.endsWith('README.md')).map((page) => [page, page.replace('README', 'index')]),
  ),
  markdown: {
    // The same anchors as on GitHub, so that one link fits both.
    anchor: { slugify: (title) => new GithubSlugger().slug(title) },
    config: (markdown) => linksOfTheTree(markdown, root, linked),
  },
  mermaid: { securityLevel: 'strict' },
  vite: {
    build: { chunkSizeWarningLimit: 4096 },
    plugins: [
      {
        // The pages lie above the folder that has the packages: on the server they find no Vue by themselves.
        name: 'vue-of-the-site',
        enforce: 'pre',
        resolveId: (id, _importer, { ssr }) => (ssr && /^vue($|\/)/.test(id) ? { id, external: true } : undefined),
      },
    ],
  },
  buildEnd: () => copyLinkedFiles(root, outDir, linked),
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: sidebar.map(({ text, collapsed, items }) => ({
      text,
      ...(collapsed && { collapsed }),
      items: items.map((item) => ({ text: item.text, link: urlOf(item.page) })),
    })),
  },
});
