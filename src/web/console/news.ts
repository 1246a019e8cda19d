// How much of a tenant changed since a page of it was loaded.
import { type Html, nothing } from '../html.ts';
import { newsLine, newsOf } from '../news.ts';
import type { View } from '../page.ts';

export const tenantNews = newsOf('GET /console/t/:tenant/news');

const words = {
  one: 'One thing changed.',
  many: '{n} things changed.',
  most: 'More than 99 things changed.',
  reload: 'Reload',
};

/** Returns the line of a page of a tenant; nothing for a viewer who may not ask. */
export function tenantNewsLine(view: View<unknown>): Html {
  if (!view.may('GET /console/t/:tenant/news')) return nothing;
  return newsLine(view, `/console/t/${view.params.tenant}/news`, words);
}
