// The refusal of a time that is older than what is kept.
import { ExpectedError } from '../errors.ts';
import { sqlState } from '../store/database/pool.ts';

/** Returns the answer, or throws `usage` where the contract refuses the time (ES006). */
export function orUnknownTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  return answer.catch((error: unknown) => {
    if (sqlState(error) !== 'ES006') throw error;
    const { message, hint } = error as { message: string; hint?: string };
    throw new ExpectedError('usage', message.replace(/^.* - /s, ''), {
      cure: hint ?? 'choose a later time',
      cause: error,
    });
  });
}
