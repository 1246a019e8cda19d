// Checks one tenant: token, roles, one read from each endpoint, checkpoints, held removals.

import { ExpectedError } from '../errors.ts';
import { rolesOf } from '../graph/credential.ts';
import { readDeletedIds } from '../graph/deleted.ts';
import { firstGroupsUrl, readMemberOf, readMembers } from '../graph/groups.ts';
import type { GraphReader } from '../graph/reader.ts';
import { firstUsersUrl, readUsers } from '../graph/users.ts';
import { trackedProperties } from '../rules/mapping.ts';
import { plural } from '../rules/numbers.ts';
import { missingRoles } from '../rules/roles.ts';
import { streams } from '../rules/streams.ts';
import { resolveSettings, type Settings } from '../settings/settings.ts';
import { openLists } from '../store/commit/removal-lists.ts';
import { checkpointAges } from '../store/database/health.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { TenantRow } from '../store/tenants/tenants.ts';
import { consentWaiting, listWaiting } from '../store/tenants/waiting-consents.ts';
import type { Checklist, Finding, Made } from './checklist.ts';
import { type DoctorGraph, type DoctorParts, type Installation, judgeCredential } from './doctor.ts';
import { judgePhotos } from './doctor-photos.ts';
import { describeHeld } from './reports.ts';

/** `row` is undefined if the tenant is not registered or the database does not answer. */
export type CheckedTenant = { readonly id: string; readonly name: string; readonly row: TenantRow | undefined };

/** Adds the checks of one tenant to `list`. Throws only an interruption. */
export async function checkTenant(
  parts: DoctorParts,
  installation: Installation,
  { id, name, row }: CheckedTenant,
  list: Checklist,
): Promise<void> {
  const { schema, graph, authority, service } = installation;
  const database = schema.value;
  if (row) await list.make('tenant', [], () => judgeTenant(row));
  else if (database) {
    const waiting = await listWaiting(database, id);
    if (waiting.length > 0) await list.make('tenant', [], () => Promise.reject(consentWaiting(waiting)));
  }
  if (row?.status === 'disconnected') return;
  const settings = await list.make('settings', [], async () => {
    const value = database
      ? await settingsInForce(database, row ? id : null, parts.defaults)
      : resolveSettings([parts.defaults], 0);
    return { says: database ? `version ${value.version}` : 'the defaults, as the database cannot be asked', value };
  });
  const own = settings.value?.credential ?? null;
  const credential =
    own && graph.value
      ? await list.make('credential', [settings], () =>
          judgeCredential((graph.value as DoctorGraph).credential(own), parts.now()),
        )
      : installation.credential;
  await checkGraph(parts, { id, settings, graph, needs: [credential, authority], service }, list);
  if (!row || !database) return;
  for (const stream of streams)
    await list.make(`checkpoint: ${stream}`, [schema], () => judgeCheckpoint(database, id, name, stream));
  await list.make('held removals', [schema], async () => {
    const lists = await openLists(database, id);
    const [first] = lists;
    if (!first) return { says: 'none', value: true };
    const held = lists.reduce((sum, one) => sum + one.held, 0);
    throw new ExpectedError('removals_held', describeHeld(held, first.opened_at), {
      cure: `entra-sync removals list ${quoted(name)}`,
    });
  });
}

function judgeTenant({
  name,
  status,
  paused,
  last_error_code: code,
  last_error_message: error,
}: TenantRow): Finding<true> {
  if (status === 'disconnected') return { says: 'disconnected: nothing is read of it', value: true };
  // The whole error stands below, where it is still so.
  const says = error ? `${status}; the last cycle ended with ${code}` : status;
  if (paused) return { says: `${says}, paused`, cure: 'entra-sync tenant resume', value: true };
  return {
    says,
    value: true,
    ...(error && {
      cure: `see below what is red, then entra-sync sync; entra-sync tenant show ${quoted(name)} tells the whole error`,
    }),
  };
}

const day = 86_400_000;

async function judgeCheckpoint(database: Database, id: string, name: string, stream: string): Promise<Finding<true>> {
  const cure = `entra-sync sync ${quoted(name)}`;
  const checkpoint = (await checkpointAges(database, id)).find((one) => one.stream === stream);
  if (!checkpoint) return { says: 'none yet: no cycle of it was committed', cure, value: true };
  const { ageMs } = checkpoint;
  const hours = Math.round(ageMs / 3_600_000);
  const age = hours < 1 ? 'less than an hour' : hours < 48 ? `${hours} h` : `${Math.floor(ageMs / day)} d`;
  const says = `${age} old`;
  // Delta tokens of directory objects live seven days (docs/graph.md, "Life and death of delta tokens").
  if (ageMs < 7 * day) return { says, value: true, ...(ageMs >= 5 * day && { cure }) };
  throw new ExpectedError('checkpoint_too_old', `${says}: Graph takes it no longer, the next cycle reads everything`, {
    cure,
  });
}

function quoted(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : JSON.stringify(name);
}

type Way = {
  readonly id: string;
  readonly settings: Made<Settings>;
  readonly graph: Made<DoctorGraph>;
  readonly needs: readonly Made<unknown>[];
  readonly service: Made<true>;
};

async function checkGraph(parts: DoctorParts, way: Way, list: Checklist): Promise<void> {
  const { id, settings, graph, needs, service } = way;
  const { allowRoles = [], credential = null } = settings.value ?? {};
  let refusal: ExpectedError | undefined;
  const token = await list.make('token', [settings, graph, ...needs], async () => {
    const source = (graph.value as DoctorGraph).tokens(id, allowRoles, credential);
    const value = await source.token({ signal: parts.signal }).catch((error: unknown) => {
      if (!(error instanceof ExpectedError && aboutRoles.has(error.code))) throw error;
      refusal = error;
      return '';
    });
    return { says: 'issued', value };
  });
  const roles = await list.make('roles', [token], () => {
    if (refusal) throw refusal;
    const held = rolesOf(token.value ?? '');
    const missing = missingRoles(held, 'groups');
    if (!missing) return { says: held.join(', '), value: true };
    throw new ExpectedError('permission_missing', `${held.join(', ')}, but not ${missing[0]}: groups cannot be read`, {
      cure: `add the application permission ${missing.join(' or ')} and grant admin consent again`,
    });
  });
  // Users need no permission for groups.
  const usable = refusal ? [roles] : [token];
  const reader = () => {
    const { openReader } = graph.value as DoctorGraph;
    return openReader({ tenantId: id, settings: settings.value as Settings, signal: parts.signal, log: parts.log });
  };
  const users = await list.make('read: users/delta', [...usable, service], async () => {
    const properties = trackedProperties(settings.value as Settings);
    return readFirst(reader(), (origin) => firstUsersUrl(origin, properties), 'user');
  });
  const groups = await list.make('read: groups/delta', [...usable, service], () =>
    readFirst(reader(), firstGroupsUrl, 'group'),
  );
  await list.make('read: members', [groups], async () => {
    const first = groups.value?.first;
    if (!first) return { says: 'not read: no group was on the first page', value: true };
    const [problem] = (await readMembers(reader(), first)).problems;
    if (!problem) return { says: 'the members of one group', value: true };
    throw new ExpectedError('permission_missing', `of one group ${problem.reason}`, {
      cure: 'add the application permission GroupMember.Read.All (and Member.Read.Hidden for hidden members)',
    });
  });
  await list.make('read: memberOf', [users], async () => {
    const first = users.value?.first;
    if (!first) return { says: 'not read: no user was on the first page', value: true };
    const held = await readMemberOf(reader(), 'users', first);
    if (!('reason' in held)) return { says: 'the groups of one user', value: true };
    throw new ExpectedError('permission_missing', `of one user ${held.reason}`, {
      cure: 'add the application permission GroupMember.Read.All and grant admin consent again',
    });
  });
  await list.make('read: deletedItems', [users], async () => {
    const deleted = await readDeletedIds(reader(), 'users');
    if (deleted) return { says: `${plural(deleted.length, 'user')} that can be restored`, value: true };
    return {
      says: 'refused: users deleted while a full round ran are asked for one by one',
      cure: 'this list needs the application permission User.Read.All',
      value: true,
    };
  });
  if (settings.value?.photos.read) {
    const { size } = settings.value.photos;
    await list.make('read: photos', [users], () =>
      judgePhotos(reader, { roles: rolesOf(token.value ?? ''), first: users.value?.first, size }),
    );
  }
  await list.make('read: $batch', [users], async () => {
    const asked = users.value?.first ?? nilUuid;
    const answer = (await readUsers(reader(), [asked], ['id'], new Map())).get(asked);
    // Not found is an answer too, as for a tenant without users.
    if (answer !== 'not_found' && answer !== undefined && 'reason' in answer) {
      throw new ExpectedError('graph_answer_invalid', `one user: ${answer.reason}`, {
        cure: 'run entra-sync doctor again',
      });
    }
    return { says: 'one user', value: true };
  });
}

const aboutRoles: ReadonlySet<string> = new Set(['consent_missing', 'role_refused', 'permission_missing']);
const nilUuid = '00000000-0000-0000-0000-000000000000';

type FirstPage = { readonly first: string | undefined };

/** Returns the id of the first live object on a stream's first page. */
async function readFirst(
  reader: GraphReader,
  url: (origin: string) => string,
  thing: string,
): Promise<Finding<FirstPage>> {
  const page = await reader.getJson<unknown[]>(url(reader.origin), {
    carriedToken: false,
    parse: (body) => {
      const { value } = (body ?? {}) as { value?: unknown };
      return Array.isArray(value) ? value : { malformed: 'the body has no value array' };
    },
  });
  const live = page.filter((one) => !(one as { '@removed'?: unknown } | null)?.['@removed']);
  const [first] = live.flatMap((one) => {
    const { id } = (one ?? {}) as { id?: unknown };
    return typeof id === 'string' ? [id.toLowerCase()] : [];
  });
  return { says: `${plural(live.length, thing)} on the first page`, value: { first } };
}
