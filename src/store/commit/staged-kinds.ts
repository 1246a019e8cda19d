// The kinds of users that a round has staged, so that its commit skips statements that would find nothing.

import { rows, type Transaction } from '../database/pool.ts';
import { liveManual, removedWithObject } from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';
import { hasManagersValues } from './managers.ts';

export type StagedKinds = {
  readonly distinct: number;
  /** Live, in scope and without an account. */
  readonly unknown: boolean;
  /** Live and with an account. */
  readonly known: boolean;
  /** Live, and the account is manual. */
  readonly released: boolean;
  /** Live, and the account is removed. */
  readonly hidden: boolean;
  /** Live, and the account was removed with its user. */
  readonly back: boolean;
  /** Live and out of scope by its properties. */
  readonly outside: boolean;
  /** Soft-deleted. */
  readonly restorable: boolean;
  /** Permanently deleted. */
  readonly deleted: boolean;
  /** Whole lists of a user's groups, and memberships. */
  readonly lists: boolean;
  readonly members: boolean;
  /** Stored for the tenant: accounts that a key can match, held removals, users soft-deleted elsewhere, users outside. */
  readonly unbound: boolean;
  readonly held: boolean;
  readonly strangers: boolean;
  readonly remembered: boolean;
  /** The tenant has fields that come from the manager, or values of them. */
  readonly managers: boolean;
};

/** The condition on an account that a match key can bind. */
export const unbound = (alias: string) =>
  `${alias}.tenant_id = :tenant and ${liveManual(alias)} and ${alias}.entra_object_id is null`;

/** Returns the kinds before the commit writes. It adds none but users that scope groups put outside. */
export async function stagedKinds(transaction: Transaction, bind: CommitBindings): Promise<StagedKinds> {
  const [kinds] = await rows<StagedKinds>(transaction, findKinds, bind);
  if (!kinds) throw new Error('the kinds of what is staged were not returned');
  return kinds;
}

const any = (condition: string) => `coalesce(bool_or(${condition}), false)`;
const found = (from: string) => `exists (select from entra_sync.${from})`;

const findKinds = `
select count(*)::int as distinct,
       ${any('s.removed is null and s.in_scope and a.account_id is null')} as unknown,
       ${any('s.removed is null and a.account_id is not null')} as known,
       ${any("s.removed is null and a.state = 'manual'")} as released,
       ${any('s.removed is null and a.removed_at is not null')} as hidden,
       ${any(`s.removed is null and ${removedWithObject('a')}`)} as back,
       ${any('s.removed is null and not s.in_scope')} as outside,
       ${any("s.removed = 'deleted_restorable'")} as restorable,
       ${any("s.removed = 'deleted'")} as deleted,
       ${found('stage_whole_lists where round_id = :round')} as lists,
       ${found('stage_members where round_id = :round')} or ${found('stage_slices where round_id = :round')} as members,
       ${found(`accounts o where ${unbound('o')}`)} as unbound,
       ${found('held_removals where tenant_id = :tenant')} as held,
       ${found("deleted_strangers where tenant_id = :tenant and stream = 'users'")} as strangers,
       ${found('outside_scope where tenant_id = :tenant')} as remembered,
       ${hasManagersValues} as managers
  from entra_sync.stage_users s
  left join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
 where s.round_id = :round`;
