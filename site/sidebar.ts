// The order of the site: the pages by what a reader wants from them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

type Group = {
  readonly text: string;
  /** Folded until a reader opens it. */
  readonly collapsed?: boolean;
  readonly items: readonly { readonly text: string; readonly page: string }[];
};

const alerts = readdirSync(join(import.meta.dirname, '..', 'docs', 'alerts')).sort();

/** Every page of the site, each once. `page` is a path of the tree. */
export const sidebar: readonly Group[] = [
  {
    text: 'The first customer',
    items: [
      { text: 'Overview', page: 'README.md' },
      { text: 'Getting started', page: 'docs/getting-started.md' },
      { text: 'Connect tenants', page: 'docs/connect.md' },
      { text: 'The first customer', page: 'docs/first-customer.md' },
      { text: 'Settings', page: 'docs/settings.md' },
      { text: 'The web', page: 'docs/web.md' },
    ],
  },
  {
    text: 'Operate',
    items: [
      { text: 'Operations', page: 'docs/operations.md' },
      { text: 'Upgrading', page: 'docs/upgrading.md' },
      { text: 'Bad days', page: 'docs/bad-days.md' },
      { text: 'When an alert comes', page: 'docs/alerts.md' },
      { text: 'What is kept of people', page: 'docs/privacy.md' },
    ],
  },
  {
    text: 'Alerts',
    collapsed: true,
    items: alerts.map((name) => ({ text: name.replace('.md', ''), page: `docs/alerts/${name}` })),
  },
  {
    text: 'Develop on the data',
    items: [
      { text: 'The contract in Postgres', page: 'docs/contract.md' },
      { text: 'From your ORM', page: 'docs/from-your-orm.md' },
      { text: 'Webhooks', page: 'docs/webhooks.md' },
      { text: 'Example: a banner board', page: 'examples/banner-board/README.md' },
    ],
  },
  {
    text: 'Reference',
    items: [
      { text: 'All pages by question', page: 'docs/README.md' },
      { text: 'Commands and codes', page: 'docs/commands.md' },
      { text: 'Glossary', page: 'docs/glossary.md' },
      { text: 'Facts about Microsoft Graph', page: 'docs/graph.md' },
      { text: 'Changelog', page: 'CHANGELOG.md' },
    ],
  },
  {
    text: 'Contribute',
    items: [
      { text: 'Working on entra-sync', page: 'CONTRIBUTING.md' },
      { text: 'Architecture', page: 'docs/architecture.md' },
      { text: 'The rules of a cycle', page: 'docs/rules.md' },
      { text: 'The benchmark', page: 'bench/RESULTS.md' },
      { text: 'Notes on speed', page: 'bench/NOTES.md' },
    ],
  },
];

/** The paths of all pages, in the order of the sidebar. */
export const pagesOfTheSite = sidebar.flatMap(({ items }) => items.map(({ page }) => page));

/** Returns the address of a page on the site. */
export function urlOf(page: string): string {
  return `/${page.replace(/README\.md$/, '').replace(/\.md$/, '')}`;
}
