// What verbs that take several tenants share: which exit code counts, and how a failure of one of them is told.
import { ExpectedError, exitCodeOf } from '../errors.ts';
import { describeDatabaseError } from '../store/pool.ts';

// 7 concerns all tenants, 6 hardly anybody; what was not compared at all comes before what differs.
const worstFirst = [130, 7, 1, 3, 5, 4, 6, 2, 8];

/** Of the exit codes of several tenants, the one of the command; 0 for none. */
export function worstExitCode(codes: readonly number[]): number {
  return worstFirst.find((code) => codes.includes(code)) ?? 0;
}

/** A failure as --json tells it. */
export function describeFailure(error: unknown) {
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
