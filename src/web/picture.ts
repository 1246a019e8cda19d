// The photo of an account: by a route of its own beside its page, and in its place on the page, with initials where there is none.
//
//   export const personPhoto = picture({
//     route: 'GET /console/t/:tenant/people/:account/photo',     a line of access.ts, the same as the page's
//     asksReason: true,                                          as the page says
//     load: (read, view, known) => readPhoto(read, …),           content is null where `known` has its hash; undefined: 404
//     audit: (view) => [{ act: 'person.photo_viewed', … }],      written before the bytes are sent, not for a 304
//   });
import type { Transaction } from '../store/database/pool.ts';
import { readWithin } from '../store/database/reading.ts';
import type { Route } from './access.ts';
import { type Html, html } from './html.ts';
import { type Asked, type Audited, type Parsed, statementMs, type View, viewWith } from './page.ts';

/** A photo as it is sent. `content` is null where the browser has it already. */
export type SentPhoto = {
  readonly content_type: string;
  readonly sha256: string;
  readonly content: Uint8Array | null;
};

export type Picture = {
  readonly kind: 'picture';
  readonly route: Route;
  readonly asksReason: boolean;
  /** `known`: the hashes that the browser has. Undefined for a 404. Throws `TooSlow`. */
  load(asked: Asked, known: readonly string[]): Promise<{ photo: SentPhoto; audited: readonly Audited[] } | undefined>;
};

/** Describes a picture: see the head of this file. */
export function picture(description: {
  readonly route: Route;
  readonly asksReason: boolean;
  readonly load: (
    read: Transaction,
    view: View<Parsed<Record<string, never>>>,
    known: readonly string[],
  ) => Promise<SentPhoto | undefined>;
  readonly audit: (view: View<unknown>) => readonly Audited[];
}): Picture {
  const { route, asksReason, load, audit } = description;
  return {
    ...{ kind: 'picture', route, asksReason },
    load: ({ database, ...asked }, known) =>
      readWithin(database, statementMs, async (read, now) => {
        const view = viewWith(asked, {}, now);
        const photo = await load(read, view, known);
        return photo && { photo, audited: audit(view) };
      }),
  };
}

/** Returns the picture at `path`, or the initials of the name where `hasPhoto` is false. */
export function photoPlace(
  view: Pick<View<unknown>, 'href'>,
  { hasPhoto, path, name, alt }: { hasPhoto: boolean; path: string; name: string; alt: string },
): Html {
  if (hasPhoto) return html`<img class="photo" src="${view.href(path)}" alt="${alt}" width="72" height="72">`;
  return html`<span class="photo" aria-hidden="true">${initialsOf(name)}</span>`;
}

/** A person of a list, by name and with the address of a photo. `hasPhoto`: undefined where the viewer sees no photos. */
type Listed = { readonly hasPhoto: boolean | undefined; readonly path: string; readonly name: string };

/**
 * Returns the name of a person in a row behind the small picture, or the initials. A list passes `hasPhoto` undefined where
 * no row has a photo: initials alone would be no more than a decoration. The name stands beside it, so nothing reads it out.
 */
export function besidePhoto(view: Pick<View<unknown>, 'href'>, { hasPhoto, path, name }: Listed, named: Html): Html {
  if (hasPhoto === undefined) return named;
  const place = hasPhoto
    ? html`<img class="photo small" src="${view.href(path)}" alt="" width="28" height="28" loading="lazy" decoding="async">`
    : html`<span class="photo small" aria-hidden="true">${initialsOf(name)}</span>`;
  return html`<span class="person">${place}${named}</span>`;
}

/** Returns the first letters of the first and the last word of a name; a sign for a name without letters. */
export function initialsOf(name: string): string {
  const letters = name.split(/\s+/).flatMap((word) => /\p{L}\p{M}*/u.exec(word.normalize('NFC'))?.[0] ?? []);
  const [first = '?', last = ''] = letters.length > 1 ? [letters[0], letters.at(-1)] : letters;
  return `${first}${last}`.toLocaleUpperCase('en');
}
