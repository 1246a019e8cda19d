// Slots, items and assignments, through the functions that applications call too.
import type { Database, Transaction } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import { call } from './accounts.ts';

/** Without a tenant: of all tenants. */
export type Slot = { tenant_id: string | null; slot: string; winners: number; title: string | null };
/** Likewise. */
export type Item = { tenant_id: string | null; slot: string; item: string; title: string | null; html: string | null };
export type Target =
  | { everyone: true }
  | { group: string }
  | { account: string }
  | { accounts: readonly string[] }
  | { field: string; in: readonly string[] };
export type Options = {
  priority?: number | null;
  except?: boolean | null;
  starts_at?: string | null;
  ends_at?: string | null;
};
export type Given = { tenantId: string; slot: string; item: string; target: Target; options: Options };
/** One assignment that reaches an account, and its outcome. */
export type Candidate = {
  rank: number | null;
  item: string;
  assignment_id: string;
  target: string;
  via_group_id: string | null;
  priority: number;
  outcome: 'wins' | 'beaten' | 'repeated' | 'excepted' | 'exception' | 'scheduled' | 'ended';
  why: string;
};
/** The items of an account, in order, by slot. */
export type Items = Readonly<Record<string, readonly string[]>>;
export type Moved = {
  account_id: string;
  display_name: string | null;
  user_principal_name: string | null;
  before: Items;
  after: Items;
};

/** Makes or changes a slot. Throws `usage` for what the database refuses, as all functions here. */
export async function putSlot(on: Transaction, slot: Slot, actor: string): Promise<void> {
  await call(on, 'select directory.put_slot(:tenant_id, :slot, :winners, :title, :actor)', { ...slot, actor });
}

/** Makes or changes an item. */
export async function putItem(on: Transaction, item: Item, actor: string): Promise<void> {
  await call(on, 'select directory.put_item(:tenant_id, :slot, :item, :title, :html, :actor)', { ...item, actor });
}

/** Returns the slot as it stands, undefined if there is none. No other writer changes it until the transaction ends. */
export async function heldSlot(on: Transaction, tenantId: string | null, slot: string): Promise<Slot | undefined> {
  return held<Slot>(on, tenantId, `tenant_id, slot, winners, title from entra_sync.slots where slot = :slot`, { slot });
}

/** Returns the item likewise. */
export async function heldItem(
  on: Transaction,
  { tenantId, slot, item }: { tenantId: string | null; slot: string; item: string },
): Promise<Item | undefined> {
  const wanted = `tenant_id, slot, item, title, html from entra_sync.items where slot = :slot and item = :item`;
  return held<Item>(on, tenantId, wanted, { slot, item });
}

async function held<Thing>(
  on: Transaction,
  tenantId: string | null,
  wanted: string,
  names: Record<string, string>,
): Promise<Thing | undefined> {
  // The tenant first, as each function of the contract does.
  if (tenantId !== null) await call(on, 'select entra_sync.lock_tenant(:tenantId, false)', { tenantId });
  const found = await call<Thing>(on, `select ${wanted} and tenant_id is not distinct from :tenantId for update`, {
    ...names,
    tenantId,
  });
  return found[0];
}

/** Drops a slot without items and assignments. */
export async function dropSlot(on: Transaction, tenantId: string | null, slot: string, actor: string): Promise<void> {
  await call(on, 'select directory.drop_slot(:tenantId, :slot, :actor)', { tenantId, slot, actor });
}

/** Drops an item that is not assigned. */
export async function dropItem(
  on: Transaction,
  { tenantId, slot, item }: { tenantId: string | null; slot: string; item: string },
  actor: string,
): Promise<void> {
  await call(on, 'select directory.drop_item(:tenantId, :slot, :item, :actor)', { tenantId, slot, item, actor });
}

/** Assigns, and returns the ids of the assignments it made. */
export async function assign(on: Transaction, given: Given, actor: string): Promise<string[]> {
  const made = await call<{ id: string }>(
    on,
    'select directory.assign(:tenantId, :slot, :item, :target::jsonb, :options::jsonb, :actor) as id',
    { ...bound(given), actor },
  );
  return made.map(({ id }) => id);
}

/** Sets options of an assignment; null sets an option's default. */
export async function changeAssignment(on: Transaction, id: string, options: Options, actor: string): Promise<void> {
  await call(on, 'select directory.change_assignment(:id, :options::jsonb, :actor)', {
    ...{ id, actor },
    options: JSON.stringify(options),
  });
}

export async function unassign(on: Transaction, id: string, actor: string): Promise<void> {
  await call(on, 'select directory.unassign(:id, :actor)', { id, actor });
}

/** Gives the assignments of one group to another and returns how many. */
export async function moveAssignments(on: Transaction, from: string, to: string, actor: string): Promise<number> {
  const [moved] = await call<{ count: number }>(on, 'select directory.move_assignments(:from, :to, :actor) as count', {
    ...{ from, to, actor },
  });
  return moved?.count ?? 0;
}

/** Returns every assignment of the slot that reaches the account, the first first. */
export async function explainAssignment(database: Database, accountId: string, slot: string): Promise<Candidate[]> {
  return call<Candidate>(database, 'select * from directory.explain_assignment(:accountId, :slot)', {
    ...{ accountId, slot },
  });
}

/** Returns the accounts whose items would change. Writes nothing. */
export async function previewAssignment(database: Database, given: Given): Promise<Moved[]> {
  return call<Moved>(
    database,
    `select p.account_id, a.display_name, a.user_principal_name, p.before, p.after
       from directory.preview_assignment(:tenantId, :slot, :item, :target::jsonb, :options::jsonb) p
       join directory.accounts a using (account_id) order by a.display_name, p.account_id`,
    bound(given),
  );
}

/** Returns the arguments of the functions that take an assignment. */
export const bound = ({ target, options, ...rest }: Given) => ({
  ...rest,
  target: JSON.stringify(target),
  options: JSON.stringify(options),
});

/**
 * Runs `act`, which calls the functions above, and returns its answer with the accounts whose items changed. A dry run is
 * rolled back.
 */
export async function assigning<Answer>(
  database: Database,
  dryRun: boolean,
  act: (transaction: Transaction) => Promise<Answer>,
): Promise<{ answer: Answer; moved: Moved[] }> {
  return inDryRun(database, dryRun, async (transaction) => {
    const answer = await act(transaction);
    noteFeedBatch(transaction);
    const moved = await call<Moved>(
      transaction,
      `select c.account_id, a.display_name, a.user_principal_name, c.before, c.after
         from entra_sync.batches b
         join entra_sync.changes c on c.batch_id = b.batch_id
         left join directory.accounts a on a.account_id = c.account_id
        where b.opened_by = pg_current_xact_id() and c.kind = 'assigned.changed'
        order by a.display_name, c.account_id, c.change_id`,
      {},
    );
    return { answer, moved };
  });
}
