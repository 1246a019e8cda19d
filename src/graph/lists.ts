// Listings, page by page: what delta is compared with, and member lists that are read whole.
import { requireOrigin } from './client.ts';
import { type GraphReader, refusedStatus } from './reader.ts';

type ListPage = { value: unknown[]; next: string | undefined };

// Far beyond any directory at 999 a page; a listing that goes on is an endless loop (rule 14).
const mostListPages = 50_000;

/** The pages of a listing, each entry as Graph sent it. Throws what {@link GraphReader.getJson} throws. */
export async function* listPages(reader: GraphReader, first: string): AsyncGenerator<unknown[]> {
  let url: string | undefined = first;
  for (let page = 0; url !== undefined; page += 1) {
    requireOrigin(url, reader.origin);
    const body: ListPage = await reader.getJson<ListPage>(url, {
      // A dead page link of a listing is no dead delta token: the whole listing is simply not to be had.
      carriedToken: false,
      parse: (answer) => {
        const { value, '@odata.nextLink': next } = (answer ?? {}) as { value?: unknown; '@odata.nextLink'?: unknown };
        if (!Array.isArray(value)) return { malformed: 'the body has no value array' };
        if (page >= mostListPages) return { malformed: 'the listing does not end' };
        return { value, next: typeof next === 'string' ? next : undefined };
      },
    });
    yield body.value;
    url = body.next;
  }
}

/** A whole listing at once, or the status of the answer that refused it; a part of a list is none. */
export async function readList(reader: GraphReader, first: string): Promise<unknown[] | { readonly refused: number }> {
  const entries: unknown[] = [];
  try {
    for await (const page of listPages(reader, first)) entries.push(...page);
  } catch (error) {
    const refused = refusedStatus(error);
    if (refused === undefined) throw error;
    return { refused };
  }
  return entries;
}
