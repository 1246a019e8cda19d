// `/console/t/ID/people/ID/photo`: the photo of one person, for those who may open the person's page.
import { asGuid } from '../../rules/decode.ts';
import { readPhoto } from '../../store/photos/state.ts';
import { picture } from '../picture.ts';

export const personPhoto = picture({
  route: 'GET /console/t/:tenant/people/:account/photo',
  asksReason: true,
  load: async (read, { params }, known) => {
    const account = asGuid(params.account ?? '');
    return account === undefined
      ? undefined
      : readPhoto(read, { tenantId: params.tenant ?? '', accountId: account, known });
  },
  audit: ({ params }) => [{ act: 'person.photo_viewed', accountId: asGuid(params.account ?? '') ?? null }],
});
