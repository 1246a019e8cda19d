// The pages and acts of the console.
import { consoleStart, mayUse, type Viewer } from '../access.ts';
import type { Download } from '../download.ts';
import type { News } from '../news-question.ts';
import type { Action, Page } from '../page.ts';
import type { Picture } from '../picture.ts';
import type { Preview } from '../preview.ts';
import { assignmentPage, ruleActs } from './assignment.ts';
import { makeAssignment, newAssignmentPage } from './assignment-new.ts';
import { assignedPeoplePage, assignedPersonPage } from './assignment-people.ts';
import { thingPages } from './assignment-things.ts';
import { assignmentsPage } from './assignments.ts';
import { auditPage, wholeAuditPage } from './audit.ts';
import { changesPage } from './changes.ts';
import { contactPages } from './contacts.ts';
import { cyclePage } from './cycle.ts';
import { undoCycle } from './cycle-undo.ts';
import { consoleDownloads } from './downloads.ts';
import { findPage } from './find.ts';
import { groupPage } from './group.ts';
import { groupsPage } from './groups.ts';
import { invitationPages } from './invitations.ts';
import { itemPreviews } from './item-preview.ts';
import { tenantNews } from './news.ts';
import { peoplePage } from './people.ts';
import { personPage } from './person.ts';
import { editPerson, readPerson, undoPerson } from './person-acts.ts';
import { personHistoryPage } from './person-history.ts';
import { personPhoto } from './person-photo.ts';
import { removalListPage, undoList } from './removal-list.ts';
import { decideRemovalsAct, removalsPage } from './removals.ts';
import { scheduleActs } from './schedule.ts';
import { settingsPage } from './settings.ts';
import { settingsActs } from './settings-acts.ts';
import { shortDownloads } from './short-downloads.ts';
import { tenantPage } from './tenant.ts';
import { tenantsPage } from './tenants.ts';
import { webhookPages } from './webhook-acts.ts';

export const consolePages: readonly (Page | Action | Download | Preview | News | Picture)[] = [
  tenantsPage,
  findPage,
  ...invitationPages,
  ...webhookPages,
  wholeAuditPage,
  auditPage,
  tenantPage,
  tenantNews,
  ...scheduleActs,
  cyclePage,
  undoCycle,
  removalsPage,
  decideRemovalsAct,
  removalListPage,
  undoList,
  peoplePage,
  personPage,
  editPerson,
  undoPerson,
  readPerson,
  personHistoryPage,
  personPhoto,
  groupsPage,
  groupPage,
  changesPage,
  assignmentsPage,
  newAssignmentPage,
  makeAssignment,
  ...thingPages,
  ...itemPreviews,
  assignedPeoplePage,
  assignedPersonPage,
  assignmentPage,
  ...ruleActs,
  settingsPage,
  ...settingsActs,
  ...contactPages,
  ...consoleDownloads,
  ...shortDownloads,
];

/** Returns the path where a viewer starts; undefined where the console has nothing for the viewer. */
export const startOf = (viewer: Viewer): string | undefined =>
  consoleStart(viewer.tenantId, (route, tenantId) => mayUse(viewer, route, tenantId));
