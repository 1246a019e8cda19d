// Groups in a settings file of one tenant: names become object ids, so that a rename changes nothing, and a group that gives a
// role in the web is not open to all.
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { plural } from '../../rules/numbers.ts';
import { inFileOrder, keepLines, type Mistake, placeText } from '../../settings/lines.ts';
import { roleSettings } from '../../settings/schema.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import type { Database } from '../database/pool.ts';
import { groupsByName, openGroups } from './status.ts';

// The settings that hold a list `groups`.
const listing = ['scope', ...roleSettings] as const;

type Named = { readonly path: Mistake['path']; readonly name: string };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isName = (group: unknown): group is string => typeof group === 'string' && !asGuid(group);

/**
 * Returns the document with the object ids of the groups that `scope`, the roles of the web and `managedBy` name. Throws
 * `settings_invalid` for a name of no synced group, and of several.
 */
export async function withGroupIds(database: Database, tenantId: string, written: unknown): Promise<unknown> {
  const named = namesIn(written);
  if (!isRecord(written) || named.length === 0) return written;
  const found = await groupsByName(
    database,
    tenantId,
    named.map(({ name }) => name),
  );
  const problems = named.flatMap(({ path, name }): Mistake[] => {
    const ids = found.filter((one) => one.name === name);
    if (ids.length === 1) return [];
    const what =
      ids.length === 0
        ? `no synced group is called ${JSON.stringify(name)}`
        : `${ids.length} groups are called ${JSON.stringify(name)}: ${ids.map((one) => one.entra_object_id).join(', ')}`;
    return [{ path, text: `${placeText(path)}: ${what}` }];
  });
  if (problems.length > 0) {
    throw new ExpectedError('settings_invalid', `${plural(problems.length, 'group')} cannot be found by name`, {
      list: inFileOrder(written, problems),
      cure: 'write the object id that Entra shows for the group',
    });
  }
  const idOf = (group: unknown) =>
    isName(group) ? (found.find((one) => one.name === group)?.entra_object_id ?? group) : group;
  const { managedBy } = written;
  const lists = listing.flatMap((place) => {
    const part = written[place];
    return isRecord(part) && Array.isArray(part.groups) ? [[place, { ...part, groups: part.groups.map(idOf) }]] : [];
  });
  return keepLines(written, {
    ...written,
    ...Object.fromEntries(lists),
    ...(Array.isArray(managedBy) && {
      managedBy: managedBy.map((one: unknown) =>
        isRecord(one)
          ? { ...one, managers: idOf(one.managers), people: one.people === 'everyone' ? one.people : idOf(one.people) }
          : one,
      ),
    }),
  });
}

function namesIn(written: unknown): Named[] {
  if (!isRecord(written)) return [];
  const lists = listing.flatMap((place) => {
    const part = written[place];
    const groups: unknown[] = isRecord(part) && Array.isArray(part.groups) ? part.groups : [];
    return groups.flatMap((name, at) => (isName(name) ? [{ path: [place, 'groups', at], name }] : []));
  });
  const managedBy: unknown[] = Array.isArray(written.managedBy) ? written.managedBy : [];
  const managing = managedBy.flatMap((one, at) => {
    if (!isRecord(one)) return [];
    const { managers, people } = one;
    return [
      ...(isName(managers) ? [{ path: ['managedBy', at, 'managers'], name: managers }] : []),
      ...(isName(people) && people !== 'everyone' ? [{ path: ['managedBy', at, 'people'], name: people }] : []),
    ];
  });
  return [...lists, ...managing];
}

/** Throws `settings_invalid` for a group that would give a role in the web to all people who join it. */
export async function requireClosedGroups(
  database: Database,
  tenantId: string,
  document: SettingsDocument,
): Promise<void> {
  const named = roleSettings.flatMap((one) => document[one]?.groups ?? []);
  const open = await openGroups(database, tenantId, named);
  if (open.length === 0) return;
  throw new ExpectedError('settings_invalid', `${plural(open.length, 'group')} cannot give a role in the web`, {
    list: open.map(({ name, entra_object_id: id, dynamic }) => {
      const why = dynamic
        ? 'fills itself by a rule, which may go by values that people set'
        : 'is open to all people of the tenant';
      return `${name} (${id}) ${why}`;
    }),
    cure: 'name a group whose members its owners choose',
  });
}
