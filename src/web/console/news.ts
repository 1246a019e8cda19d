// How much of a tenant changed since a page of it was loaded.
import { type Html, nothing } from '../html.ts';
import { newsLine } from '../news.ts';
import { newsOf } from '../news-question.ts';
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
  const { mark: since, params } = view;
  if (since === undefined || !view.may('GET /console/t/:tenant/news')) return nothing;
  return newsLine(view, view.href(`/console/t/${params.tenant}/news`, { since }), words);
}
