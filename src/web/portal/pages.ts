// The pages and acts of the portal.
import { mayUse, type Viewer } from '../access.ts';
import type { Download } from '../download.ts';
import type { News } from '../news-question.ts';
import type { Action, Page } from '../page.ts';
import type { Picture } from '../picture.ts';
import type { Preview } from '../preview.ts';
import { mePage } from './me.ts';
import { editMe } from './me-act.ts';
import { myPhoto, teamPhoto } from './photo.ts';
import { previewsOfMe } from './preview.ts';
import { teamDownload, teamNews, teamPage } from './team.ts';
import { editTeamPerson, previewsOfTeam, teamPersonPage } from './team-person.ts';

export const portalPages: readonly (Page | Action | Download | Preview | Picture | News)[] = [
  ...[mePage, editMe, myPhoto, ...previewsOfMe],
  ...[teamPage, teamDownload, teamNews, teamPersonPage, editTeamPerson, teamPhoto, ...previewsOfTeam],
];

/** Returns the path where a viewer starts; undefined where the portal has nothing for the viewer. */
export function portalStartOf(viewer: Viewer): string | undefined {
  return mayUse(viewer, 'GET /me', undefined) ? '/me' : undefined;
}
