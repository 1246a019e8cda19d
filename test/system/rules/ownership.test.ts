// A profile always is the directory's values overlaid by the edits of user-owned fields, and no edit is ever lost, for any
// sequence of cycles, edits, reverts, settings changes, disconnects and reconnects.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import { createAccount, editAccount, revertAccount } from '../../../src/store/accounts/accounts.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runsOf } from '../../support/deep.ts';
import { drawn } from '../../support/histories.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld, type World } from '../../support/system.ts';

const fields = ['jobTitle', 'mobilePhone', 'pronouns'] as const;
const inDirectory = new Set<string>(['jobTitle', 'mobilePhone']);
type FieldName = (typeof fields)[number];
type Mode = 'directory' | 'user' | 'hybrid';
type Owners = Record<FieldName, 'directory' | 'user'>;
type Rules = { mode: Mode; owners: Owners };
type Value = string | null;

type Step =
  | { step: 'cycle'; full: boolean }
  | { step: 'directory'; who: number; field: FieldName; value: Value }
  | { step: 'edit'; who: number; field: FieldName; value: Value; role: 'user' | 'manager' }
  | { step: 'revert'; who: number; field: FieldName }
  | { step: 'settings'; rules: Rules }
  | { step: 'leave'; who: number }
  | { step: 'return'; who: number }
  | { step: 'manual'; who: number; value: string }
  | { step: 'disconnect' }
  | { step: 'reconnect' };

const field = fc.constantFrom(...fields);
const who = fc.nat(8);
const value = fc.constantFrom<Value>('A', 'B', 'C', '', null);
const owner = fc.constantFrom('directory' as const, 'user' as const);
const rules: fc.Arbitrary<Rules> = fc.record({
  mode: fc.constantFrom<Mode>('directory', 'user', 'hybrid', 'hybrid', 'hybrid'),
  owners: fc.record({ jobTitle: owner, mobilePhone: owner, pronouns: fc.constant('user' as const) }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ step: fc.constant('cycle' as const), full: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant('directory' as const), who, field, value }) },
  {
    weight: 12,
    arbitrary: fc.record({
      step: fc.constant('edit' as const),
      who,
      field,
      value,
      role: fc.constantFrom('user' as const, 'manager' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ step: fc.constant('revert' as const), who, field }) },
  { weight: 5, arbitrary: fc.record({ step: fc.constant('settings' as const), rules }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('leave' as const), who }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('return' as const), who }) },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant('manual' as const), who, value: fc.constantFrom('M', 'N') }),
  },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ step: 'disconnect' }, { step: 'reconnect' }) },
);

/** The expected state of one account, computed from the steps alone. */
type Known = {
  managed: boolean;
  directory: Partial<Record<FieldName, string>>;
  inForce: Map<string, Value>;
  shelved: Map<string, Value>;
};

/** A model of the product that records every step. */
class Books {
  readonly accounts = new Map<string, Known>();
  rules: Rules = { mode: 'directory', owners: { jobTitle: 'directory', mobilePhone: 'directory', pronouns: 'user' } };
  connected = true;

  ownedByUser(name: string): boolean {
    const { mode, owners } = this.rules;
    return mode === 'hybrid' ? owners[name as FieldName] === 'user' : mode === 'user';
  }

  /** Edits stay, in force where the user owns the field. */
  sort(known: Known): void {
    const given = new Map([...known.shelved, ...known.inForce]);
    known.inForce = new Map([...given].filter(([name]) => this.ownedByUser(name)));
    known.shelved = new Map([...given].filter(([name]) => !this.ownedByUser(name)));
  }

  profileOf(known: Known): Record<string, Value> {
    const values = { ...known.directory, ...Object.fromEntries(known.inForce) };
    // A field that was cleared is left out, like every other without a value (rule 3).
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
  }
}

type Row = {
  account_id: string;
  entra_object_id: string | null;
  state: string;
  profile: Record<string, Value>;
  overrides: Record<string, Value>;
  shelf: Record<string, Value>;
  removed: boolean;
};

const accountsOf = ({ database }: World) =>
  rows<Row>(
    database,
    `select a.account_id, a.entra_object_id, a.state, coalesce(v.profile, a.profile) as profile, a.overrides, a.shelf,
            a.removed_at is not null as removed
       from entra_sync.accounts a left join directory.accounts v using (account_id) order by a.created_at, a.account_id`,
  );

const at = <Item>(items: readonly Item[], index: number): Item | undefined => items[index % Math.max(1, items.length)];

const shown = (profile: Record<string, Value>) =>
  Object.fromEntries(fields.flatMap((name) => (name in profile ? [[name, profile[name]]] : [])));

/** Applies a commit: users of the directory have managed accounts with its values, and edits are sorted by owner. */
async function readDirectory(world: World, books: Books): Promise<void> {
  const people = new Map(world.tenant.users().map((user) => [user.id, user.properties]));
  for (const row of await accountsOf(world)) {
    const properties = people.get(row.entra_object_id ?? '');
    if (!properties) continue;
    const known = books.accounts.get(row.account_id) ?? {
      managed: true,
      directory: {},
      inForce: new Map(),
      shelved: new Map(),
    };
    known.directory = Object.fromEntries(
      [...inDirectory].flatMap((name) =>
        properties[name] === undefined || properties[name] === null ? [] : [[name, String(properties[name])]],
      ),
    );
    known.managed = true;
    books.sort(known);
    books.accounts.set(row.account_id, known);
  }
}

async function expectBooks(world: World, books: Books): Promise<void> {
  for (const row of await accountsOf(world)) {
    const known = books.accounts.get(row.account_id);
    if (!known || row.removed) continue;
    expect(row.state, 'state').toBe(known.managed ? 'managed' : 'manual');
    expect(shown(row.profile), 'profile').toEqual(shown(books.profileOf(known)));
    const { mail: _, ...overrides } = row.overrides;
    const { mail: __, ...shelf } = row.shelf;
    expect(overrides, 'in force').toEqual(Object.fromEntries(known.inForce));
    expect(shelf, 'shelved').toEqual(Object.fromEntries(known.shelved));
  }
}

async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => {
      if (!(error instanceof ExpectedError)) throw error;
      return /ES\d{3}/.exec(error.message)?.[0] ?? error.code;
    },
  );
}

async function takeStep(world: World, books: Books, one: Step): Promise<void> {
  const { tenant, database } = world;
  const live = (await accountsOf(world)).filter((row) => !row.removed);
  switch (one.step) {
    case 'cycle': {
      const refused = await refusalOf(world.cycle({ resync: one.full }));
      expect(refused).toBe(books.connected ? undefined : 'tenant_disconnected');
      if (books.connected) await readDirectory(world, books);
      return;
    }
    case 'directory': {
      const user = at(tenant.users(), one.who);
      if (user && inDirectory.has(one.field)) tenant.updateUser(user.id, { [one.field]: one.value || null });
      return;
    }
    case 'edit': {
      const row = at(live, one.who);
      const known = row && books.accounts.get(row.account_id);
      if (!row || !known) return;
      const by = { actor: 'ann', role: one.role };
      const refused = await refusalOf(editAccount(database, row.account_id, { [one.field]: one.value }, by));
      const allowed = !known.managed || books.ownedByUser(one.field);
      expect(refused, `edit of ${one.field}`).toBe(allowed ? undefined : 'ES001');
      if (allowed) {
        // An empty text clears.
        known.inForce.set(one.field, one.value || null);
        // An account keeps one edit for each field: a new edit takes the place of a shelved one.
        known.shelved.delete(one.field);
      }
      return;
    }
    case 'revert': {
      const row = at(live, one.who);
      const known = row && books.accounts.get(row.account_id);
      if (!row || !known) return;
      const by = { actor: 'ann', role: 'user' };
      const refused = await refusalOf(revertAccount(database, row.account_id, [one.field], by));
      const allowed = !known.managed || books.ownedByUser(one.field);
      expect(refused, `revert of ${one.field}`).toBe(allowed ? undefined : 'ES001');
      if (allowed) known.inForce.delete(one.field);
      return;
    }
    case 'settings': {
      const { mode, owners } = one.rules;
      await setSettings(database, {
        sourceOfTruth: mode,
        fields: {
          jobTitle: { from: 'jobTitle', owner: owners.jobTitle },
          mobilePhone: { from: 'mobilePhone', owner: owners.mobilePhone, pattern: null },
          pronouns: { owner: owners.pronouns },
        },
      });
      books.rules = one.rules;
      for (const known of books.accounts.values()) if (known.managed) books.sort(known);
      return;
    }
    case 'leave': {
      const user = at(tenant.users(), one.who);
      if (user && tenant.users().length > 2) tenant.deleteUser(user.id);
      return;
    }
    case 'return': {
      const user = at(tenant.deletedUsers(), one.who);
      if (user) tenant.restoreUser(user.id);
      return;
    }
    case 'manual': {
      // A manual account that exists before the directory shows its user.
      const mail = `by.hand.${one.who}@contoso.example`;
      const given = { jobTitle: one.value };
      const refused = await refusalOf(createAccount(database, tenant.tenantId, { mail, ...given }, 'admin'));
      if (refused) return;
      const made = (await accountsOf(world)).at(-1);
      if (!made) return;
      const inForce = new Map<string, Value>(Object.entries(given));
      books.accounts.set(made.account_id, { managed: false, directory: {}, inForce, shelved: new Map() });
      if (one.who % 2) tenant.createUser({ mail, jobTitle: 'From the directory' });
      return;
    }
    case 'disconnect': {
      const refused = await refusalOf(disconnectTenant(database, tenant.tenantId, { actor: 'test', dryRun: false }));
      expect(refused).toBe(books.connected ? undefined : 'tenant_disconnected');
      books.connected = false;
      for (const row of live) {
        const known = books.accounts.get(row.account_id);
        if (known) known.managed = false;
      }
      return;
    }
    case 'reconnect': {
      const refused = await refusalOf(reconnectTenant(database, tenant.tenantId, 'test'));
      expect(refused).toBe(books.connected ? 'usage' : undefined);
      books.connected = true;
    }
  }
}

/** Takes the steps in a new world, and compares every account with the model after each. */
async function runHistory(steps: readonly Step[]): Promise<void> {
  const cleanups: (() => unknown)[] = [];
  const world = await openWorld({ users: 5, onEnd: ((work: () => unknown) => cleanups.push(work)) as never });
  try {
    const books = new Books();
    // The shipped settings have a pattern for mobilePhone, which the values of these steps do not match.
    await takeStep(world, books, { step: 'settings', rules: books.rules });
    await world.cycle();
    await readDirectory(world, books);
    for (const one of steps) {
      await takeStep(world, books, one);
      await expectBooks(world, books);
    }
  } finally {
    for (const work of cleanups) await work();
  }
}

const ownedBy = (mode: 'directory' | 'user'): Step => ({
  step: 'settings',
  rules: { mode, owners: { jobTitle: mode, mobilePhone: mode, pronouns: 'user' } },
});
const title = (value: Value): Step => ({ step: 'edit', who: 1, field: 'jobTitle', value, role: 'user' });

test.each<[string, Step[]]>([
  ['kept', []],
  ['taken back', [{ step: 'revert', who: 1, field: 'jobTitle' }]],
])('rule 20: an edit that replaces a shelved one, and that is %s after a disconnect', async (_, then) => {
  const replaced = [ownedBy('user'), title('A'), ownedBy('directory'), { step: 'disconnect' } as const, title('C')];
  await runHistory([...replaced, ...then, { step: 'reconnect' }, { step: 'cycle', full: false }, ownedBy('user')]);
});

const runs = runsOf(4, 20);
const limitMs = Math.max(110_000, runs * 6_000);

test(
  `rules 3, 20: profiles are the directory's values under what people gave, and nothing given is lost (${runs} histories)`,
  async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), runHistory), {
      ...drawn,
      numRuns: runs,
      interruptAfterTimeLimit: limitMs - 20_000,
      endOnFailure: process.env.SHRINK !== '1',
    });
  },
  limitMs,
);
