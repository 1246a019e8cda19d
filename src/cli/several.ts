// Shared by verbs for several tenants: the exit code, and failures of single tenants.
import { ExpectedError, exitCodeOf, exitCodes } from '../errors.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import { plural } from './format.ts';
import type { Terminal } from './terminal.ts';

// 7 concerns all tenants, so it comes early. A tenant that could not be compared comes before one that differs (8).
const worstFirst = [130, 7, 1, 3, 5, 4, 6, 2, 8];

/** Returns the command's exit code from those of its tenants; 0 if there are none. */
export function worstExitCode(codes: readonly number[]): number {
  return worstFirst.find((code) => codes.includes(code)) ?? 0;
}

/** Returns whether one of these failures, of the shared database, would stop the next tenants too. */
export function stopsAll(errors: readonly unknown[]): boolean {
  return errors.some((error) => exitCodeOf(describeDatabaseError(error)) === exitCodes.database_unable);
}

/** Notes how many tenants were not tried, if any. */
export function sayNotTried(terminal: Terminal, tenants: number): void {
  if (tenants > 0) terminal.note(`${plural(tenants, 'tenant')} not tried: the database would stop them too`);
}

/** Returns a failure for --json. */
export function failureJson(error: unknown) {
  const expected = describeDatabaseError(error);
  return expected instanceof ExpectedError
    ? { code: expected.code, message: expected.message, cure: expected.cure ?? null, exitCode: exitCodeOf(expected) }
    : { code: 'defect', message: 'a defect, see stderr', cure: null, exitCode: 1 };
}

/** Returns the error of a verb that needs a registered tenant. */
export function noTenant(): ExpectedError {
  return new ExpectedError('usage', 'no tenant is registered', {
    cure: 'run entra-sync sync first, or entra-sync tenant add TENANT --name NAME',
  });
}
