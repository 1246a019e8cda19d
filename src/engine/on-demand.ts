// On-demand read of one user: GET with the user's groups, committed at once beside the cycles. It moves no checkpoint
// and removes no account, since delta reports deletions.
import { ExpectedError } from '../errors.ts';
import { readMemberOf } from '../graph/groups.ts';
import { readUser } from '../graph/users.ts';
import { asGuid, type Occurrence, oddProblems } from '../rules/decode.ts';
import { managerProperty } from '../rules/managers.ts';
import { requiredUserProperties, selectedProperties } from '../rules/mapping.ts';
import { keepKnown, overlay } from '../rules/merge.ts';
import { conditionName, outsideOf } from '../rules/scope.ts';
import { findAccountsByWord, type KnownAccount } from '../store/accounts/find-accounts.ts';
import { commitPerson } from '../store/accounts/on-demand.ts';
import type { ChangeSample } from '../store/commit/change-sample.ts';
import { databaseTime } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import { knownOfOdd } from '../store/stage/doubts.ts';
import { deletedManagers } from '../store/stage/managers.ts';
import { readCheckpoint } from '../store/stage/rounds.ts';
import { findTenant, tenantDisconnected } from '../store/tenants/tenants.ts';
import { partialAnswer } from './ask.ts';
import type { CycleParts } from './cycle.ts';
import { withManagers } from './managers.ts';
import { typesOf, withMapping } from './users.ts';

export type PersonOptions = {
  readonly tenantId: string;
  /** Object id or user principal name; of a known account also mail or account id. */
  readonly word: string;
  readonly actor: string;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
};

export type UserVerdict =
  | 'created'
  | 'restored'
  | 'updated'
  | 'unchanged'
  | 'out_of_scope'
  | 'set_aside'
  /** Nothing was written. */
  | 'not_there';

export type OnDemandResult = {
  readonly verdict: UserVerdict;
  /** The stored display name, else Entra ID's, else the user principal name or `word`. */
  readonly name: string;
  readonly entraObjectId: string | null;
  /** Why the user is outside the scope or set aside. */
  readonly reason: string | null;
  readonly before: KnownAccount | undefined;
  readonly after: KnownAccount | undefined;
  /** Groups that hold the user directly; undefined if none are synced yet or Graph refuses the list. */
  readonly groups: number | undefined;
  readonly changes: readonly ChangeSample[];
  readonly cycleId: string | null;
  readonly requests: number;
  readonly dryRun: boolean;
};

/** The reason of a user who gets no account whatever the scope says. */
export const wasErased = "was erased on the person's request";

/**
 * Reads one user and commits the result. Throws `usage` for an impossible name or id, `unknown_name` if neither Entra
 * ID nor this database knows the user, and what reading throws.
 */
export async function readUserOnDemand(parts: CycleParts, options: PersonOptions): Promise<OnDemandResult> {
  const { database } = parts;
  const { tenantId, actor, dryRun, signal } = options;
  const word = requireWord(options.word);
  const { status, name } = await findTenant(database, tenantId);
  if (status === 'disconnected') throw tenantDisconnected(name);
  const settings = await settingsInForce(database, tenantId, parts.defaults);
  const properties = selectedProperties(settings);
  const reader = parts.openReader({ tenantId, settings, signal, log: parts.log });
  const askedAt = await databaseTime(database);
  const known = (await findAccountsByWord(database, tenantId, word))[0];
  const shown = await askWithManager();
  const answer = shown === 'not_found' ? shown : partialAnswer(shown.id ?? '', shown, requiredUserProperties);
  if (answer === 'not_found') {
    if (!known) throw unknownPerson();
    const { entra_object_id: entraObjectId } = known;
    return { ...nothing(), verdict: 'not_there', name: nameOf(known), entraObjectId, before: known, after: known };
  }
  const id = answer.id ?? '';
  const groupsKnown = await readCheckpoint(database, tenantId, 'groups');
  const seen =
    'reason' in answer
      ? answer
      : withMapping({ id, source: await sourceOf(answer), removed: null, doubt: null }, settings);
  const list = groupsKnown && !('reason' in seen) ? await readMemberOf(reader, 'users', id) : undefined;
  const memberOf = list && 'reason' in list ? undefined : list;
  const {
    before,
    after,
    changes,
    cycleId,
    inScope,
    aside: undecided,
    erased,
  } = await commitPerson(database, {
    tenantId,
    entraObjectId: id,
    seen,
    memberOf,
    problems: [...(list && 'reason' in list ? [list] : []), ...('patch' in answer ? oddProblems([answer]) : [])],
    settingsVersion: settings.version,
    match: settings.match,
    scopeGroups: settings.scope.groups,
    groupsJudged: groupsKnown?.fingerprint === settings.fingerprints.groups,
    actor,
    askedAt,
    requests: reader.requestCount(),
    dryRun,
  });
  const byProperties = 'reason' in seen ? null : outsideOf(seen, settings.scope, settings.disabledAccounts);
  const aside = 'reason' in seen ? seen.reason : undecided;
  const byScope =
    'reason' in seen
      ? null
      : byProperties
        ? `${conditionName(byProperties.condition)}: ${byProperties.why}`
        : 'scope.groups: in none of the scope groups';
  const outside = erased ? wasErased : byScope;
  const result: OnDemandResult = {
    before,
    after,
    changes,
    cycleId,
    verdict: aside !== null ? 'set_aside' : inScope ? verdictOf(changes) : 'out_of_scope',
    name: nameOf(after ?? before, 'reason' in seen ? {} : seen.source),
    entraObjectId: id,
    reason: aside ?? (inScope ? null : outside),
    groups: memberOf?.length,
    requests: reader.requestCount(),
    dryRun,
  };
  parts.log.info(
    { tenantId, entraObjectId: id, cycleId: result.cycleId, verdict: result.verdict, requests: result.requests },
    'person read on demand',
  );
  return result;

  async function sourceOf(shown: Extract<Occurrence, { patch: unknown }>) {
    const stored = await knownOfOdd(database, tenantId, '0', 'users', [shown]);
    const unmanaged = shown.patch[managerProperty] === null ? [shown.id] : [];
    const deleted = (await deletedManagers(database, tenantId, '0', unmanaged)).get(shown.id);
    const patch = deleted === undefined ? shown.patch : { ...shown.patch, [managerProperty]: deleted };
    return keepKnown(overlay({}, patch), shown.odd, stored.get(shown.id));
  }

  async function askWithManager() {
    const user = await ask();
    if (!settings.managers || user === 'not_found' || 'reason' in user) return user;
    const answers = await withManagers(reader, new Map([[user.id, user]]));
    return answers.get(user.id) ?? user;
  }

  // A user who was renamed, or is found by mail or account id, is read by object id.
  async function ask() {
    const types = typesOf(properties);
    const isAccountId = known?.account_id === word.toLowerCase();
    const byWord = isAccountId ? 'not_found' : await readUser(reader, word, properties, types);
    const linkedId = known?.entra_object_id;
    if (byWord !== 'not_found' || !linkedId || linkedId === word.toLowerCase()) return byWord;
    return readUser(reader, linkedId, properties, types);
  }

  function nameOf(person: KnownAccount | undefined, source: Record<string, unknown> = {}): string {
    const names = [person?.display_name, source.displayName, person?.user_principal_name, source.userPrincipalName];
    return names.find((name): name is string => typeof name === 'string' && name !== '') ?? word;
  }

  function nothing() {
    return { reason: null, groups: undefined, changes: [], cycleId: null, requests: reader.requestCount(), dryRun };
  }
}

function verdictOf(changes: readonly ChangeSample[]): UserVerdict {
  const kinds = new Set(changes.map((change) => change.kind));
  if (kinds.has('account.created')) return 'created';
  if (kinds.has('account.restored')) return 'restored';
  return kinds.size > 0 ? 'updated' : 'unchanged';
}

// Graph's limit for a user principal name is 113 characters (learn.microsoft.com/graph/api/resources/user).
const maxName = 320;

function requireWord(text: string): string {
  const word = text.trim();
  const isName = word.length <= maxName && /^[^\s/\\?\p{Cc}]+@[^\s/\\?\p{Cc}]+$/u.test(word);
  if (asGuid(word) || isName) return word;
  throw new ExpectedError('usage', 'that is neither an object id nor a user principal name', {
    cure: 'entra-sync sync --user adele@contoso.com, or the object id that Entra shows',
  });
}

function unknownPerson(): ExpectedError {
  return new ExpectedError('unknown_name', 'neither Entra ID nor this database knows that person', {
    cure: 'check the spelling: the user principal name or object id as Entra shows it',
  });
}
