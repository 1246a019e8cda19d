// `/me/photo` and `/team/ID/photo`: one's own photo and those of the people that the viewer manages, as the contract shows them.
import { asGuid } from '../../rules/decode.ts';
import { type Contract, contractPicture } from '../contract-page.ts';
import { type Html, nothing } from '../html.ts';
import type { Audited, View } from '../page.ts';
import { photoPlace, type SentPhoto } from '../picture.ts';
import { readHead } from './portal-page.ts';
import { managedId } from './team-access.ts';

/** Whether an account has a photo, and whether any of the tenant has one. */
export type PhotoFound = { readonly own: boolean; readonly some: boolean };

/** Returns whether an account has a photo. */
export async function findPhoto(contract: Contract, accountId: string): Promise<PhotoFound> {
  const [found] = await contract.rows<PhotoFound>(
    // A tenant without a photo makes the second question read those of all tenants, so it is asked only where it counts.
    `select o.own, case when o.own then true else exists (select from directory.photos) end as some
       from (select exists (select from directory.photos p where p.account_id = :accountId) as own) o`,
    { accountId },
  );
  return found ?? { own: false, some: false };
}

/** Returns the photo of the page's person, or the initials where other people of the tenant have one. */
export function photoAbove({ own, some }: PhotoFound, view: View<unknown>, name: string, alt: string): Html {
  return some ? photoPlace(view, { hasPhoto: own, path: `${view.path}/photo`, name, alt }) : nothing;
}

async function photoOf(contract: Contract, accountId: string | null, known: readonly string[]) {
  const [photo] = await contract.rows<SentPhoto>(
    `select p.content_type, p.sha256, case when p.sha256 <> all(:known::text[]) then p.content end as content
       from directory.photos p where p.account_id = :accountId`,
    { accountId, known },
  );
  return photo;
}

const look = (accountId: string | null): Audited => ({ act: 'person.photo_viewed', accountId });

export const myPhoto = contractPicture({
  route: 'GET /me/photo',
  load: async (contract, view, known) => {
    const head = await readHead(contract, view);
    return head?.portal.people ? photoOf(contract, view.viewer.accountId, known) : undefined;
  },
  audit: ({ viewer }) => (viewer.standing ? [look(viewer.accountId)] : []),
});

export const teamPhoto = contractPicture({
  route: 'GET /team/:account/photo',
  load: async (contract, view, known) => {
    const head = await readHead(contract, view);
    const account = head?.portal.managers ? await managedId(contract, view) : undefined;
    return account === undefined ? undefined : photoOf(contract, account, known);
  },
  audit: ({ params }) => [look(asGuid(params.account ?? '') ?? null)],
});
