// Managers that pages do not tell of: of users read by GET, and of the reports of a restored manager.
import { readManagers, readReports } from '../graph/managers.ts';
import type { SingleObject } from '../graph/objects.ts';
import type { GraphReader } from '../graph/reader.ts';
import type { Problem } from '../rules/decode.ts';
import { managerProperty } from '../rules/managers.ts';
import { reportsToAsk, stageUnreadReports } from '../store/stage/managers.ts';
import type { Round } from '../store/stage/rounds.ts';
import type { StreamContext } from './stream.ts';

/**
 * Adds the managers to the answers that show a user. One that cannot be read is an unreadable property, so the known one
 * stays (rule 19). Throws what reading throws.
 */
export async function withManagers(
  reader: GraphReader,
  answers: ReadonlyMap<string, SingleObject>,
): Promise<Map<string, SingleObject>> {
  const shown = [...answers].flatMap(([id, answer]) => (answer !== 'not_found' && 'patch' in answer ? id : []));
  const managers = await readManagers(reader, shown);
  return new Map(
    [...answers].map(([id, answer]) => {
      const manager = managers.get(id);
      if (manager === undefined || answer === 'not_found' || !('patch' in answer)) return [id, answer];
      if (manager === 'none') return [id, { ...answer, patch: { ...answer.patch, [managerProperty]: null } }];
      if ('id' in manager) return [id, { ...answer, patch: { ...answer.patch, [managerProperty]: manager.id } }];
      return [id, { ...answer, odd: { ...answer.odd, [managerProperty]: manager.unread } }];
    }),
  );
}

/**
 * Returns the users whose manager is in doubt because a manager was restored: those whose link disagrees with the restored
 * user's direct reports. While the user was deleted, Graph left the links out. Reports that cannot be read are asked for by
 * the next cycle.
 */
export async function reportsInDoubt(
  { database, lease, reader }: Pick<StreamContext, 'database' | 'lease' | 'reader'>,
  round: Round,
  restored: readonly string[],
): Promise<string[]> {
  const doubtful = new Set<string>();
  const problems: Problem[] = [];
  for (const id of restored) {
    const reports = await readReports(reader, id);
    if ('unread' in reports) {
      problems.push({ key: `${id}/directReports`, reason: reports.unread });
      continue;
    }
    for (const one of await reportsToAsk(database, lease.tenantId, round.round_id, id, reports)) doubtful.add(one);
  }
  await stageUnreadReports(database, lease, round.round_id, restored, problems);
  return [...doubtful];
}
