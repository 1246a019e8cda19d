// Whether a worker runs, by its beats in the database, and whether cycles wait for one (rule 31).
import { duration } from './numbers.ts';

/** Ages in seconds by the database's clock; null: there is none. */
export type WorkerSigns = {
  /** The newest beat of any worker. */
  readonly seen: number | null;
  /** The newest beat of a worker that was not stopped in order. */
  readonly beat: number | null;
  /** The newest cycle that began without a worker, after the last beat; 0 while one runs. */
  readonly cycle: number | null;
  /** How long a cycle or a request has been due and waits. */
  readonly late: number | null;
  /** The shortest interval of the tenants that wait. */
  readonly interval: number | null;
};

/** `commands`: no worker runs, but `sync` is run often enough, as by cron. */
export type WorkerState = 'working' | 'commands' | 'absent';

/** A worker beats every 15 s. A tick that waits for the database may miss some. */
const seenWithin = 120;
const lateAfter = 300;
// A cron job that is not run every interval still runs every hour.
const leastGap = 3_600;

function judgeWorkers({ beat, cycle, interval }: WorkerSigns): WorkerState {
  if (beat !== null && beat <= seenWithin) return 'working';
  return cycle !== null && cycle <= Math.max(leastGap, 2 * (interval ?? 0)) ? 'commands' : 'absent';
}

/** Whether a person is to be told that no worker runs: cycles wait, and it is no mere restart. */
function lacksWorker(signs: WorkerSigns): boolean {
  const { seen, late } = signs;
  return judgeWorkers(signs) === 'absent' && (seen ?? Infinity) > seenWithin && (late ?? 0) > lateAfter;
}

export type Workers = {
  readonly state: WorkerState;
  /** Since the newest beat; null: no worker was ever seen. */
  readonly seenSeconds: number | null;
  /** How long the oldest cycle has been due; null: none is. */
  readonly lateSeconds: number | null;
  /** Null where a worker, or `sync` run often enough, does the work, or no cycle is overdue. */
  readonly lack: string | null;
  /** `no worker has been seen for 40 min`; of use only where the state is not `working`. */
  readonly silence: string;
  readonly cure: string;
};

/** Judges the signs and puts them into words. On the embedded database no worker can run. */
export function describeWorkers(signs: WorkerSigns, embedded: boolean): Workers {
  const { seen, late } = signs;
  const silence = seen === null ? 'no worker has ever been seen' : `no worker has been seen for ${duration(seen)}`;
  return {
    state: judgeWorkers(signs),
    seenSeconds: seen === null ? null : Math.round(seen),
    lateSeconds: late === null ? null : Math.round(late),
    lack: lacksWorker(signs) ? `${silence}, and a cycle has been due for ${duration(late ?? 0)}` : null,
    silence,
    cure: embedded ? 'entra-sync sync' : 'entra-sync worker',
  };
}
