// The time of an act: each of its statements ends after it, and so do its waits for locks. The person reads what happened.
import { TooSlow } from '../store/database/reading.ts';
import { withinTime } from '../store/database/time-limits.ts';

/** The milliseconds of a statement of an act, such as a pause, an edit or an invitation. */
export const actMs = 10_000;

/**
 * The same for an act that may change every account of a tenant: settings, assignments, decided removals. It holds the tenant
 * meanwhile, so its cycles wait.
 */
export const longActMs = 30_000;

/** Returns the seconds of a time, as pages tell them. */
export const secondsOf = (ms: number) => Math.max(1, Math.round(ms / 1_000));

type Late = { readonly problems: readonly { readonly message: string }[]; readonly late: true };

/** Does an act within its time. An act that takes longer is taken back whole, and its form comes back. */
export async function inTime<Done>(ms: number, act: () => Promise<Done>): Promise<Done | Late> {
  try {
    return await withinTime(ms, act);
  } catch (error) {
    if (!(error instanceof TooSlow)) throw error;
    const seconds = secondsOf(ms);
    const message = error.waited
      ? `Another transaction held what this act changes for longer than ${seconds} s, perhaps the commit of a cycle: try again in a moment.`
      : `It took longer than ${seconds} s, and was ended: everything is as it was. Try again, with less at once where that is possible.`;
    return { problems: [{ message }], late: true };
  }
}
