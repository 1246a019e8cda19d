// The end of a statement that took too long for the page or act that asked.
import { ExpectedError } from '../../errors.ts';
import { sqlState } from './errors.ts';

/** A statement of a page or act was ended after its time, or it waited too long for a lock. */
export class TooSlow extends Error {
  /** The time went by while another transaction held a lock. */
  readonly waited: boolean;

  constructor(cause: unknown, waited = false) {
    super('a statement of a page took too long', { cause });
    this.name = 'TooSlow';
    this.waited = waited;
  }

  /** Returns the error as `TooSlow` if it says that the time is over. */
  static of(error: unknown): TooSlow | undefined {
    if (error instanceof TooSlow) return error;
    if (error instanceof ExpectedError && error.code === 'database_locked') return new TooSlow(error, true);
    const states = [error, error instanceof Error ? error.cause : undefined].map(sqlState);
    return states.includes('57014') ? new TooSlow(error) : undefined;
  }
}
