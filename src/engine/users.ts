// The users stream.
import { readMemberOfs } from '../graph/groups.ts';
import type { SingleObject } from '../graph/objects.ts';
import type { GraphReader } from '../graph/reader.ts';
import { firstUsersUrl, readUsers } from '../graph/users.ts';
import {
  asPatch,
  type DeltaPage,
  decodePage,
  decodePageOf,
  joinPages,
  oddProblems,
  type Problem,
  type SelectedProperties,
} from '../rules/decode.ts';
import { propertyOf } from '../rules/graph-properties.ts';
import { decodeUserWithManager, managerProperty } from '../rules/managers.ts';
import {
  mapUser,
  requiredForScope,
  requiredUserProperties,
  selectedProperties,
  trackedProperties,
  userKeys,
} from '../rules/mapping.ts';
import { doubts, keepKnown, type MergedObject, mergeObjects, overlay } from '../rules/merge.ts';
import { outsideOf } from '../rules/scope.ts';
import type { Settings } from '../settings/settings.ts';
import { onDryRunGroups } from '../store/commit/dry-run.ts';
import { databaseTime } from '../store/database/pool.ts';
import { doubtfulObjects, knownOfOdd, unmetObjects } from '../store/stage/doubts.ts';
import { deletedManagers } from '../store/stage/managers.ts';
import { doubtPartial, type RequiredProperties } from '../store/stage/partial-objects.ts';
import { type Round, readCheckpoint } from '../store/stage/rounds.ts';
import {
  enteringUsers,
  restoredUsers,
  type SettledUsers,
  type StagedUser,
  settleUsers,
  stagedLive,
  stageUsersPage,
} from '../store/stage/users.ts';
import { askInChunks, partialAnswer } from './ask.ts';
import { recordDeletedItems } from './deleted-items.ts';
import { reportsInDoubt, withManagers } from './managers.ts';
import type { StreamContext, StreamParts } from './stream.ts';

export const usersStream: StreamParts<DeltaPage> = {
  stream: 'users',
  firstUrl: (origin, settings) => firstUsersUrl(origin, trackedProperties(settings)),
  decode: (settings) => {
    const selected = typesOf(selectedProperties(settings));
    return settings.managers
      ? (body) => decodePageOf(body, (item) => decodeUserWithManager(item, selected))
      : (body) => decodePage(body, selected);
  },
  join: joinPages,
  pagesTogether: 8,
  // The groups stream lists them too, but it runs beside this one, and some tenants show their users alone.
  beforeFullRound: async (context) => {
    if (context.inputs.settings.managers) await recordDeletedItems(context, ['users']);
  },
  stage: ({ database, lease }, settings, round, page, base) =>
    stageUsersPage(database, lease, round, {
      ...base,
      occurrences: page.occurrences,
      merge: (known, stored) =>
        mergeObjects(round.kind, known, page.occurrences, requiredForScope(settings.scope), stored).map((user) =>
          doubtManager(withMapping(user, settings), settings, round, known.has(user.id)),
        ),
    }),
  ask: askAboutUsers,
};

// A user who enters comes with changed properties alone, and of one outside the scope no manager is kept.
function doubtManager(user: StagedUser, settings: Settings, round: Round, isKnown: boolean): StagedUser {
  const isEntering = settings.managers && round.kind === 'incremental' && !isKnown && !user.removed && user.inScope;
  return isEntering && user.doubt === null && !(managerProperty in user.source)
    ? { ...user, doubt: doubts.unknownManager }
    : user;
}

async function askAboutUsers(context: StreamContext, settings: Settings, round: Round): Promise<void> {
  const { database, lease } = context;
  const properties = selectedProperties(settings);
  // The scope depends on memberships, so this cycle's groups come first.
  const dryRunGroups = settings.scope.groups.length > 0 ? await context.memberships : undefined;
  const findEntering = (on: Parameters<typeof enteringUsers>[0]) =>
    enteringUsers(on, lease.tenantId, round.round_id, settings.scope.groups);
  const entering = await (dryRunGroups
    ? onDryRunGroups(
        database,
        lease,
        dryRunGroups,
        { actor: context.actor, retentionMs: settings.retentionMs },
        findEntering,
      )
    : findEntering(database));
  if (round.kind === 'full') await doubtPartial(database, lease, round, 'users', requiredOfUsers(settings));
  const unmet =
    round.kind === 'full'
      ? await unmetObjects(database, lease.tenantId, round.round_id, 'users', settings.removals.max)
      : [];
  const restored = new Set(await restoredUsers(database, lease.tenantId, round.round_id));
  const ids = [
    ...new Set([
      ...(await doubtfulObjects(database, lease.tenantId, round.round_id, 'users')).map((one) => one.id),
      ...unmet,
      ...entering,
      ...restored,
    ]),
  ];
  const ofManagers = settings.managers ? [...restored] : [];
  if (ids.length === 0) return;
  const groupsAreKnown = (await readCheckpoint(database, lease.tenantId, 'groups')) !== undefined;
  const read = async (reader: GraphReader, some: readonly string[]) => {
    const users = await readUsers(reader, some, properties, typesOf(properties));
    return settings.managers ? withManagers(reader, users) : users;
  };
  const settle = (answers: ReadonlyMap<string, SingleObject>, reader: GraphReader) =>
    settleAnswers({ ...context, reader }, settings, round, answers, groupsAreKnown ? restored : new Set());
  await askInChunks(context, { stream: 'users', round, ids, read, settle });
  if (ofManagers.length === 0) return;
  const live = await stagedLive(database, round.round_id, ofManagers);
  const reports = await reportsInDoubt(context, round, live);
  await askInChunks(context, { stream: 'users', round, ids: reports, read, settle });
}

async function settleAnswers(
  { database, lease, reader, log }: StreamContext,
  settings: Settings,
  round: Round,
  answers: ReadonlyMap<string, SingleObject>,
  restored: ReadonlySet<string>,
): Promise<void> {
  const readAt = await databaseTime(database);
  const live: { user: StagedUser; memberOf: SettledUsers['live'][number]['memberOf'] }[] = [];
  const shown = [...answers.values()].filter((answer) => answer !== 'not_found').filter(asPatch);
  const known = await knownOfOdd(database, lease.tenantId, round.round_id, 'users', shown);
  const problems: Problem[] = oddProblems(shown);
  const missingIds: string[] = [];
  const unmanaged = shown.filter(({ patch }) => patch[managerProperty] === null).map(({ id }) => id);
  const deleted = await deletedManagers(database, lease.tenantId, round.round_id, unmanaged);
  for (const [id, read] of answers) {
    const answer = partialAnswer(id, read, requiredUserProperties);
    if (answer === 'not_found') missingIds.push(id);
    else if ('reason' in answer) problems.push(answer);
    else {
      const manager = deleted.get(id);
      const patch = manager === undefined ? answer.patch : { ...answer.patch, [managerProperty]: manager };
      const source = keepKnown(overlay({}, patch), answer.odd, known.get(id));
      const user = withMapping({ id, source, removed: null, doubt: null }, settings);
      live.push({ user, memberOf: undefined });
    }
  }
  // A restored user may have joined or left groups while member lists omitted the user (rule 8).
  const back = live.map(({ user }) => user.id).filter((id) => restored.has(id));
  const memberOfs = await readMemberOfs(reader, 'users', back);
  for (const one of live) {
    const memberOf = memberOfs.get(one.user.id);
    if (memberOf && 'reason' in memberOf) problems.push(memberOf);
    else one.memberOf = memberOf;
  }
  await settleUsers(database, lease, round.round_id, {
    asked: [...answers.keys()],
    live,
    readAt,
    problems,
    notFound: missingIds,
  });
  log.debug(
    { stream: 'users', asked: answers.size, live: live.length, gone: missingIds.length, aside: problems.length },
    'doubtful objects read',
  );
}

/** Returns the properties of a whole user under these settings. */
export function requiredOfUsers(settings: Settings): RequiredProperties {
  return { required: requiredUserProperties, selected: trackedProperties(settings) };
}

/** Returns a merged user with its mapped fields, inside or outside the scope. */
export function withMapping(user: MergedObject, settings: Settings): StagedUser {
  const { fields, scope, disabledAccounts } = settings;
  const outside = outsideOf(user, scope, disabledAccounts);
  const keys = userKeys(user.source);
  return {
    ...user,
    ...keys,
    enabled: keys.enabled || disabledAccounts === 'ignore',
    mapped: mapUser(user.source, fields),
    inScope: outside === null,
    outside: outside?.reason ?? null,
    condition: outside?.condition ?? null,
  };
}

/** Returns the selected properties with their types. */
export function typesOf(properties: readonly string[]): SelectedProperties {
  return new Map(
    properties.flatMap((property) => {
      const known = propertyOf(property);
      return known && property !== 'id' ? [[property, known.type] as const] : [];
    }),
  );
}
