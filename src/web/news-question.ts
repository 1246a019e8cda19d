// The question of the pages' script: how many things have changed since its page was read.
import { countChangesSince } from '../store/console/news.ts';
import { readWithin } from '../store/database/reading.ts';
import type { Route } from './access.ts';
import { longestMark } from './news.ts';
import type { Asked } from './page.ts';

/** A question for the number of things that changed. It neither counts as a request of its session nor is audited. */
export type News = {
  readonly kind: 'news';
  readonly route: Route;
  /** Returns the number, at most 100; undefined for a 404. Throws `TooSlow`. */
  count(asked: Asked): Promise<number | undefined>;
};

/** The time that a statement of the question may take, in milliseconds. */
export const newsMs = 1_000;

const mostCounted = 100;

/** Describes the question of a route with `:tenant`. */
export function newsOf(route: Route): News {
  return {
    kind: 'news',
    route,
    count: async ({ database, params: { tenant = '' }, given: { since } }) =>
      // A text of Postgres holds no NUL.
      typeof since === 'string' && since.length <= longestMark && !since.includes('\0')
        ? readWithin(database, newsMs, (read) => countChangesSince(read, tenant, since, mostCounted))
        : undefined,
  };
}
