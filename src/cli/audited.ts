// Acts of the command line in the audit.
import type { Database } from '../store/database/pool.ts';
import { type AuditLine, writeAudit } from '../store/feed/audit.ts';
import type { Run } from './command.ts';

/** Adds acts of this command's actor to the audit. */
export async function audited(
  { actor }: Pick<Run, 'actor'>,
  database: Database,
  ...lines: readonly Pick<AuditLine, 'act' | 'tenantId' | 'accountId' | 'detail'>[]
): Promise<void> {
  await writeAudit(
    database,
    lines.map((line) => ({ actor, role: 'cli', via: 'cli', ...line })),
  );
}
