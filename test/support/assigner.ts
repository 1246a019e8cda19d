// Assignments in a scene of test/support/writers.ts, by the functions of the contract: accounts and groups by number, the manual
// account as 0.
import type { Client } from 'pg';
import { expect } from 'vitest';
import { applyDueAssignments, tenantsToAssign } from '../../src/store/accounts/due-assignments.ts';
import { rows as answersOf, type Database } from '../../src/store/database/pool.ts';
import { assignmentRows, passAnHour } from './assigned-truth.ts';
import { ask, type Store, until } from './stage.ts';
import type { Scene } from './writers.ts';

export type Assigner = Awaited<ReturnType<typeof assigner>>;
type Moved = { account: string; before: object; after: object };

/** `within`: a transaction in which all of it is done, instead of a connection of its own. */
export async function assigner(store: Store, { tenantId: tenant, accounts }: Scene, within?: Database) {
  const client = within === undefined ? await store.connect() : undefined;
  const groups = await ask<{ id: string; object: string }>(
    store,
    'select group_id as id, entra_object_id as object from entra_sync.groups where tenant_id = :tenant',
    { tenant },
  );
  const known = new Map(groups.map(({ id, object }) => [Number(object.slice(-12)), id]));
  const group = (n: number): string => known.get(n) ?? expect.unreachable(`no group ${n}`);
  const account = (n: number): string => accounts[n] ?? expect.unreachable(`no account ${n}`);

  // Not by knex, which hides the server's message.
  async function call<Row>(sql: string, values: unknown[] = []): Promise<Row[]> {
    if (client) return (await client.query(sql, values)).rows as Row[];
    const named = Object.fromEntries(values.map((value, at) => [`v${at + 1}`, value]));
    return answersOf<Row>(store.database, sql.replaceAll(/\$(\d+)/g, ':v$1'), named);
  }
  const call1 = async (sql: string, values: unknown[]) =>
    (await call<{ x: unknown }>(`select ${sql} as x`, values))[0]?.x;

  const item = (slot: string, name: string, html: string | null) =>
    call1(`directory.put_item($1, $2, $3, null, $4, 'Ann')`, [tenant, slot, name, html]);
  const moves = () =>
    call<Moved>(
      `select account_id as account, before, after from entra_sync.changes
        where tenant_id = $1 and kind = 'assigned.changed' order by change_id desc`,
      [tenant],
    );

  return {
    group,
    account,
    item,
    close: async () => client?.end(),
    async put(slot: string, winners: number, ...items: string[]) {
      await call1(`directory.put_slot($1, $2, $3, null, 'Ann')`, [tenant, slot, winners]);
      for (const name of items) await item(slot, name, '<p>{{displayName}}</p>');
    },
    async assign(slot: string, name: string, target: object, options: object = {}): Promise<string> {
      return String(
        await call1(`directory.assign($1, $2, $3, $4, $5, 'Ann')`, [
          tenant,
          slot,
          name,
          JSON.stringify(target),
          JSON.stringify(options),
        ]),
      );
    },
    change: (id: string, options: object) =>
      call1(`directory.change_assignment($1, $2, 'Ann')`, [id, JSON.stringify(options)]),
    unassign: (id: string) => call1(`directory.unassign($1, 'Ann')`, [id]),
    move: (from: number, to: number) => call1(`directory.move_assignments($1, $2, 'Ann')`, [group(from), group(to)]),
    moveBetween: (from: string, to: string) => call1(`directory.move_assignments($1, $2, 'Ann')`, [from, to]),
    drop: (slot: string, name?: string) =>
      name === undefined
        ? call1(`directory.drop_slot($1, $2, 'Ann')`, [tenant, slot])
        : call1(`directory.drop_item($1, $2, $3, 'Ann')`, [tenant, slot, name]),
    /** The items of a slot by the number of the user. */
    async got(slot: string): Promise<Record<number, string[]>> {
      const found = await call<{ number: number; items: string[] }>(
        `select coalesce(right(a.entra_object_id::text, 12), '0')::int as number, array_agg(x.item order by x.rank) as items
           from directory.assigned x join directory.accounts a on a.account_id = x.account_id
          where x.tenant_id = $1 and x.slot = $2 group by a.account_id, a.entra_object_id order by 1`,
        [tenant, slot],
      );
      return Object.fromEntries(found.map(({ number, items }) => [number, items]));
    },
    async explain(n: number, slot: string) {
      const found = await call<{ item: string; outcome: string; why: string }>(
        'select * from directory.explain_assignment($1, $2)',
        [account(n), slot],
      );
      return found.map((one) => [one.item, one.outcome, one.why]);
    },
    /** State and group name of each assignment, by age. */
    async states() {
      const found = await call<{ state: string; group_name: string | null }>(
        `select v.state, v.group_name from directory.assignments v join entra_sync.assignments r using (assignment_id)
          where v.tenant_id = $1 order by r.seq`,
        [tenant],
      );
      return found.map((one) => [one.state, one.group_name]);
    },
    async preview(slot: string, name: string, target: object, options: object): Promise<Moved[]> {
      return call<Moved>(
        'select account_id as account, before, after from directory.preview_assignment($1, $2, $3, $4, $5) order by 1',
        [tenant, slot, name, JSON.stringify(target), JSON.stringify(options)],
      );
    },
    /** What `act` changed, by account. */
    async moved(act: () => Promise<unknown>): Promise<Moved[]> {
      const before = (await moves()).length;
      await act();
      const all = await moves();
      return all.slice(0, all.length - before).sort((a, b) => (a.account < b.account ? -1 : 1));
    },
    time: async (from: string) =>
      String(
        (
          await call<{ t: string }>(
            `select to_char((now() + $1::interval) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as t`,
            [from],
          )
        )[0]?.t,
      ),
    /** Does what the worker's tick does, and returns for how many tenants something was due. */
    async tick(): Promise<number> {
      let applied = 0;
      for (const one of await tenantsToAssign(store.database, true))
        if (await applyDueAssignments(store.database, one)) applied += 1;
      return applied;
    },
    anHourPasses: () => passAnHour(store.database, tenant),
    rows: () => assignmentRows(store.database, tenant),
    async everything() {
      const found: unknown[] = [];
      for (const view of ['slots', 'items', 'assignments', 'assigned', 'changes'])
        found.push(await call(`select * from directory.${view} v order by v::text`));
      return found;
    },
    /** Returns once this connection waits for a lock. */
    async waits(other: Client) {
      const { processID } = other as unknown as { processID: number };
      await until('it waits for a lock', async () => {
        const [session] = await call<{ w: boolean }>(
          `select wait_event_type = 'Lock' as w from pg_stat_activity where pid = $1`,
          [processID],
        );
        return session?.w === true;
      });
    },
  };
}
