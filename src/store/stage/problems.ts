// The problems of a round: unreadable objects and properties, kept in its stage until the commit (rule 19).
import type { Problem } from '../../rules/decode.ts';
import { rowCount, type Transaction } from '../database/pool.ts';

/** Stages problems. Returns how many were new or different. */
export async function stageProblems(
  transaction: Transaction,
  roundId: string,
  problems: readonly Problem[],
): Promise<number> {
  if (problems.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_set_aside as s (round_id, object_key, reason)
     select distinct on (r.key) :roundId, r.key, r.reason
       from jsonb_to_recordset(:problems::jsonb) as r (key text, reason text)
     on conflict (round_id, object_key) do update set reason = excluded.reason where s.reason <> excluded.reason`,
    { roundId, problems: JSON.stringify(problems) },
  );
}
