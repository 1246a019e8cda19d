// What verbs that take several tenants share: which exit code counts, and how a failure of one of them is told.
import { ExpectedError, exitCodeOf, exitCodes } from '../errors.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import { plural } from './format.ts';
import type { Terminal } from './terminal.ts';

// 7 concerns all tenants, 6 hardly anybody; what was not compared at all comes before what differs.
const worstFirst = [130, 7, 1, 3, 5, 4, 6, 2, 8];

/** Of the exit codes of several tenants, the one of the command; 0 for none. */
export function worstExitCode(codes: readonly number[]): number {
  return worstFirst.find((code) => codes.includes(code)) ?? 0;
}

/** Whether one of these failures would meet the tenants that come next as well: the database is the same for all. */
export function stopsAll(errors: readonly unknown[]): boolean {
  return errors.some((error) => exitCodeOf(describeDatabaseError(error)) === exitCodes.database_unable);
}

/** Says how many tenants were left alone after such a failure; nothing for none. */
export function sayNotTried(terminal: Terminal, tenants: number): void {
  if (tenants > 0) terminal.note(`${plural(tenants, 'tenant')} not tried: the database would stop them too`);
}

/** A failure as --json tells it. */
export function failureJson(error: unknown) {
  const expected = describeDatabaseError(error);
  return expected instanceof ExpectedError
    ? { code: expected.code, message: expected.message, cure: expected.cure ?? null, exitCode: exitCodeOf(expected) }
    : { code: 'defect', message: 'a defect, see stderr', cure: null, exitCode: 1 };
}

/** What a verb answers that needs a tenant and registers none itself. */
export function noTenant(): ExpectedError {
  return new ExpectedError('usage', 'no tenant is registered', {
    cure: 'run entra-sync sync first, or entra-sync tenant add TENANT --name NAME',
  });
}
