// Reads for a verb whether a worker runs (rule 31).
import { describeWorkers, type Workers } from '../rules/workers.ts';
import type { Database } from '../store/database/pool.ts';
import { readWorkerSigns } from '../store/queue/worker-beats.ts';
import type { Run } from './command.ts';

export async function readWorkers({ environment }: Run, database: Database): Promise<Workers> {
  return describeWorkers(await readWorkerSigns(database), environment.databaseUrl === undefined);
}

/** The part of an answer with --json. */
export function workersAnswer({ state, seenSeconds, lateSeconds, lack, cure }: Workers) {
  return {
    state,
    seen_seconds: seenSeconds,
    late_seconds: lateSeconds,
    warning: lack === null ? null : { message: lack, cure },
  };
}

/** `due now; the worker syncs it within seconds`, or the reason why that cannot be promised, with the cure. */
export function promise(workers: Workers, promised: string): string {
  return workers.state === 'working' ? `; ${promised}.` : `, but ${workers.silence} -> ${workers.cure}`;
}
