// `/me/photo`: one's own photo, as the contract shows it.
import { type Contract, contractPicture } from '../contract-page.ts';
import { type Html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { photoPlace, type SentPhoto } from '../picture.ts';
import type { Head } from './frame.ts';
import { textsOf } from './language.ts';
import { readHead } from './portal-page.ts';

/** Whether an account has a photo, and whether any of the tenant has one. */
export type OwnPhoto = { readonly own: boolean; readonly some: boolean };

/** Returns whether an account has a photo. */
export async function readOwnPhoto(contract: Contract, accountId: string): Promise<OwnPhoto> {
  const [found] = await contract.rows<OwnPhoto>(
    `select exists (select from directory.photos p where p.account_id = :accountId) as own,
            exists (select from directory.photos) as some`,
    { accountId },
  );
  return found ?? { own: false, some: false };
}

/** Returns one's own photo, or the initials where other people of the tenant have one. */
export function ownPhoto({ own, some }: OwnPhoto, view: View<unknown>, { person }: Head): Html {
  if (!some) return nothing;
  return photoPlace(view, { hasPhoto: own, path: '/me/photo', name: person, alt: textsOf(view).me.photo });
}

export const myPhoto = contractPicture({
  route: 'GET /me/photo',
  load: async (contract, view, known) => {
    const head = await readHead(contract, view);
    if (!head?.portal.people) return undefined;
    const [photo] = await contract.rows<SentPhoto>(
      `select p.content_type, p.sha256, case when p.sha256 <> all(:known::text[]) then p.content end as content
         from directory.photos p where p.account_id = :accountId`,
      { accountId: view.viewer.accountId, known },
    );
    return photo;
  },
  audit: ({ viewer }) => (viewer.standing ? [{ act: 'person.photo_viewed', accountId: viewer.accountId }] : []),
});
