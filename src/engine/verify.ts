// `verify`: compares a fresh listing (not delta) with the tables. Changes nothing.

import { ExpectedError } from '../errors.ts';
import { listGroups, readGroups, readMemberLists } from '../graph/groups.ts';
import { readManagers } from '../graph/managers.ts';
import type { GraphReader } from '../graph/reader.ts';
import { listUsers, readUsers } from '../graph/users.ts';
import { asPatch, type Occurrence, oddProblems, type Problem } from '../rules/decode.ts';
import { requiredGroupProperties } from '../rules/groups.ts';
import { requiredUserProperties, selectedProperties } from '../rules/mapping.ts';
import { mergeObjects } from '../rules/merge.ts';
import type { ScopeGap } from '../rules/scope.ts';
import { commandWord } from '../rules/shell.ts';
import { type Stream, streams, tableOf } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import { acquireLease, type Lease } from '../store/cycle/lease.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import { stageGroupsPage } from '../store/stage/groups.ts';
import { unfoldSlices } from '../store/stage/members.ts';
import { beginRound, dropDryRun, type PageOfRound, type Round, readCheckpoint } from '../store/stage/rounds.ts';
import { stageUsersPage } from '../store/stage/users.ts';
import { findTenant, tenantDisconnected } from '../store/tenants/tenants.ts';
import {
  type Checked,
  countStaged,
  type Drift,
  drawSample,
  driftOfGroups,
  driftOfMemberships,
  driftOfNesting,
  driftOfUsers,
  type NamedDrift,
  readUnread,
  type Unread,
  withNames,
} from '../store/verify.ts';
import { driftOfEffective } from '../store/verify-effective.ts';
import { storedManagers } from '../store/verify-managers.ts';
import { judgeListing, leaveErasedOut } from '../store/verify-scope.ts';
import type { CycleParts } from './cycle.ts';
import { withColumns } from './groups.ts';
import type { Progress } from './stream.ts';
import { typesOf, withMapping } from './users.ts';

export type VerifyResult = {
  readonly checked: Checked;
  readonly drift: readonly NamedDrift[];
  /** Objects and lists that could not be read, and were not compared. */
  readonly unread: readonly Unread[];
  /** Users who may be in scope only through these were not compared. */
  readonly scopeGaps: readonly ScopeGap[];
  readonly requests: number;
  readonly seconds: number;
};

type VerifyOptions = {
  readonly tenantId: string;
  /** Compare this many random accounts and groups. A sample cannot find missing accounts. */
  readonly sample: number | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

type Work = { parts: CycleParts; lease: Lease; reader: GraphReader; settings: Settings; options: VerifyOptions };

/**
 * Lists users, groups and members, and compares them with the tables field by field. Holds the tenant's lease, so that
 * no cycle commits meanwhile. Changes since the last cycle show as drift. Throws `tenant_disconnected`, `never_synced`
 * for a stream without a checkpoint, and what reading throws.
 */
export async function runVerify(parts: CycleParts, options: VerifyOptions): Promise<VerifyResult> {
  const { database } = parts;
  const { tenantId } = options;
  const started = performance.now();
  const lease = await acquireLease(database, tenantId, parts.leaseTimes);
  try {
    await requireSynced(database, tenantId);
    const settings = await settingsInForce(database, tenantId, parts.defaults);
    const signal = AbortSignal.any([options.signal, lease.lost]);
    const reader = parts.openReader({ tenantId, settings, signal, log: parts.log });
    const work = { parts, lease, reader, settings, options };
    const users = await stageListing(work, 'users');
    const groups = await stageListing(work, 'groups');
    await unfoldSlices(database, lease, groups.round.round_id);
    const roundIds = { users: users.round.round_id, groups: groups.round.round_id };
    await leaveErasedOut(database, lease, users.round.round_id);
    // A sample has too few member lists, and only users who have an account.
    const scopeGaps =
      options.sample === undefined ? await judgeListing(database, lease, roundIds, settings.scope.groups) : [];
    const scopeOf = ({ round, ids }: Listing) => ({ tenantId, roundId: round.round_id, ids });
    const managers = settings.managers ? await compareManagers(work, scopeOf(users)) : { drift: [], unread: [] };
    const drift = [
      ...(await driftOfUsers(database, scopeOf(users))),
      ...managers.drift,
      ...(await driftOfGroups(database, scopeOf(groups))),
      ...(await driftOfMemberships(database, scopeOf(groups))),
      ...(await driftOfNesting(database, tenantId)),
      ...(await driftOfEffective(database, tenantId)),
    ];
    return {
      checked: await countStaged(database, tenantId, roundIds),
      drift: await withNames(database, tenantId, roundIds, drift),
      unread: [...(await readUnread(database, roundIds)), ...managers.unread],
      scopeGaps,
      requests: reader.requestCount(),
      seconds: Math.round(performance.now() - started) / 1000,
    };
  } finally {
    await dropDryRun(database, lease).catch(() => {});
    await lease.release();
  }
}

async function requireSynced(database: Database, tenantId: string): Promise<void> {
  const { status, name } = await findTenant(database, tenantId);
  if (status === 'disconnected') throw tenantDisconnected(name);
  for (const stream of streams) {
    if (await readCheckpoint(database, tenantId, stream)) continue;
    throw new ExpectedError('never_synced', `the ${stream} of the tenant were never synced`, {
      cure: `run entra-sync sync ${commandWord(name)}`,
    });
  }
}

const managersAtOnce = 1_000;

/** Asks for the manager of each listed user with an account: one request in 20 users. */
async function compareManagers(
  { parts, reader, options }: Work,
  listing: { readonly tenantId: string; readonly roundId: string },
): Promise<{ drift: Drift[]; unread: Unread[] }> {
  const stored = await storedManagers(parts.database, listing);
  const drift: Drift[] = [];
  const unread: Unread[] = [];
  for (let start = 0; start < stored.length; start += managersAtOnce) {
    options.signal.throwIfAborted();
    const lot = stored.slice(start, start + managersAtOnce);
    const answers = await readManagers(
      reader,
      lot.map(({ id }) => id),
    );
    for (const { id, manager, isLive } of lot) {
      const answer = answers.get(id);
      if (answer === undefined) continue;
      if (typeof answer === 'object' && 'unread' in answer) {
        unread.push({ stream: 'users', object_key: `${id}/manager`, reason: answer.unread });
        continue;
      }
      const fresh = answer === 'none' ? null : answer.id;
      if (fresh === manager || (fresh === null && !isLive)) continue;
      const what = manager === null ? 'missing' : fresh === null ? 'extra' : 'different';
      drift.push({
        ...{ kind: 'manager', what, entra_object_id: id, member_object_id: fresh ?? manager },
        ...{ field: null, stored: manager, fresh },
      });
    }
  }
  return { drift, unread };
}

type Listing = { round: Round; ids: readonly string[] | null };

// Staged as a dry run, so that one SQL statement compares a tenant of any size.
async function stageListing(work: Work, stream: Stream): Promise<Listing> {
  const { parts, lease, settings, options } = work;
  let round = await beginRound(parts.database, lease, {
    stream,
    dryRun: true,
    kind: 'full',
    reason: 'verify',
    settingsVersion: settings.version,
    fingerprint: settings.fingerprints[stream],
  });
  const ids =
    options.sample === undefined
      ? null
      : await drawSample(parts.database, lease.tenantId, tableOf[stream], options.sample);
  const pages = stream === 'users' ? userListing(work, ids) : groupListing(work, ids);
  for await (const page of pages) {
    options.signal.throwIfAborted();
    round = await stageListed(work, stream, round, page);
    options.onProgress?.({ stream, phase: 'pull', pages: round.pages, objects: round.seen, total: ids?.length });
  }
  return { round, ids };
}

async function* userListing({ reader, settings }: Work, ids: readonly string[] | null): AsyncGenerator<Listed> {
  const properties = selectedProperties(settings);
  const selected = typesOf(properties);
  if (ids === null) yield* listUsers(reader, properties, selected);
  else yield singles(await readUsers(reader, ids, properties, selected));
}

async function* groupListing({ reader }: Work, ids: readonly string[] | null): AsyncGenerator<Listed> {
  if (ids === null) yield* listGroups(reader);
  else yield singles(await readGroups(reader, ids));
}

export type Listed = readonly (Occurrence | Problem)[];

function singles(answers: ReadonlyMap<string, Occurrence | Problem | 'not_found'>): Listed {
  return [...answers.values()].filter((answer) => answer !== 'not_found');
}

async function stageListed(work: Work, stream: Stream, round: Round, listed: Listed): Promise<Round> {
  const { parts, lease, reader, settings } = work;
  const occurrences = listed.filter(asPatch);
  const problems = [...listed.filter((one): one is Problem => 'reason' in one), ...oddProblems(occurrences)];
  const base: PageOfRound = {
    urls: [`listing ${round.pages}`],
    seen: listed.length,
    problems,
    link: { next: `listing ${round.pages + 1}` },
  };
  if (stream === 'users') {
    return stageUsersPage(parts.database, lease, round, {
      ...base,
      occurrences,
      merge: (known, stored) =>
        mergeObjects('full', known, occurrences, requiredUserProperties, stored).map((user) =>
          withMapping(user, settings),
        ),
    });
  }
  const lists = await readMemberLists(
    reader,
    occurrences.map((occurrence) => occurrence.id),
  );
  return stageGroupsPage(parts.database, lease, round, {
    ...base,
    problems: [...problems, ...lists.flatMap((list) => list.problems)],
    occurrences,
    members: lists.map((list) => list.members),
    merge: (known, stored) =>
      mergeObjects('full', known, occurrences, requiredGroupProperties, stored).map((group) =>
        withColumns(group, settings.groups),
      ),
  });
}
