// A stream has two open rounds, and a replica of the previous release, which expects one, commits either of them.
import { expect, test } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import type { Round } from '../../src/store/stage/rounds.ts';
import { ask, commit, leasedTenant, openStore, pull, type Store, sync, user } from '../support/stage.ts';

/** Ends a commit like the release before 0026 and 0027: moves the checkpoint and deletes the round. */
async function commitAsBefore(store: Store, round: Round): Promise<void> {
  await store.database.transaction(async (transaction) => {
    const values = { round: round.round_id, full: round.kind === 'full' };
    await transaction.raw(
      `insert into entra_sync.checkpoints (tenant_id, stream, delta_link, fingerprint, settings_version, round_id, committed_at, full_at)
       select r.tenant_id, r.stream, r.delta_link, r.fingerprint, r.settings_version, r.round_id, now(), now()
         from entra_sync.rounds r where r.round_id = :round
       on conflict (tenant_id, stream) do update
          set delta_link = excluded.delta_link, fingerprint = excluded.fingerprint, settings_version = excluded.settings_version,
              round_id = excluded.round_id, committed_at = excluded.committed_at,
              full_at = case when :full::boolean then excluded.full_at else entra_sync.checkpoints.full_at end`,
      values,
    );
    await transaction.raw('delete from entra_sync.rounds where round_id = :round', values);
  });
}

const openRounds = async (store: Store) =>
  (await ask<{ kind: string }>(store, 'select kind from entra_sync.rounds order by kind')).map(({ kind }) => kind);

/** A tenant with a completely read full round, and a later round beside it. */
async function openBoth(store: Store, lease: Lease): Promise<{ full: Round; later: Round }> {
  await sync(store, lease, 'full', [[user(1), user(2)]]);
  const full = await pull(store, lease, 'full', [[user(1), user(2)]]);
  return { full, later: await pull(store, lease, 'incremental', [[user(1, { jobTitle: 'Chief' })]]) };
}

test('rule 24: a full round committed by the previous release ends the older later round beside it', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    const { full } = await openBoth(store, lease);
    await commitAsBefore(store, full);
    expect(await openRounds(store)).toEqual([]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rule 24: a full round restarts when the previous release commits newer changes beside it', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    const { later } = await openBoth(store, lease);
    await commitAsBefore(store, later);
    expect(await openRounds(store)).toEqual([]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rule 24: rounds of another stream, another tenant or a dry run stay', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  const other = await leasedTenant(store);
  try {
    const { full } = await openBoth(store, lease);
    await pull(store, other, 'incremental', [[user(1)]]);
    await pull(store, lease, 'incremental', [[user(1)]], { dryRun: true });
    await ask(
      store,
      `insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint)
       values ('${lease.tenantId}', 'groups', false, 'incremental', 'changes', 0, '')`,
    );
    await commitAsBefore(store, full);
    expect(await openRounds(store)).toEqual(['incremental', 'incremental', 'incremental']);
  } finally {
    await lease.release();
    await other.release();
    await store.close();
  }
});

test('rule 24: changes that this release commits leave the full round beside them open', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    const { later } = await openBoth(store, lease);
    await commit(store, lease, later);
    expect(await openRounds(store)).toEqual(['full']);
    // Also a round without changes.
    await commit(store, lease, await pull(store, lease, 'incremental', [[]]));
    expect(await openRounds(store)).toEqual(['full']);
  } finally {
    await lease.release();
    await store.close();
  }
});
