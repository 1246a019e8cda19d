// Beats of workers, and the signs by which others judge whether one runs (rule 31).
import type { WorkerSigns } from '../../rules/workers.ts';
import { type Database, rows, written } from '../database/pool.ts';

/** Notes that this worker was seen now; `stopped`: for the last time. */
export async function writeBeat(database: Database, workerId: string, stopped: boolean): Promise<void> {
  await written(
    database,
    `insert into entra_sync.worker_beats as b (worker_id, stopped_at)
     values (:workerId, case when :stopped then clock_timestamp() end)
     on conflict (worker_id) do update set seen_at = clock_timestamp(), stopped_at = excluded.stopped_at`,
    { workerId, stopped },
  );
}

/** Deletes beats of a day ago. Keeps the newest one, which says for how long there has been no worker. */
export async function forgetOldBeats(database: Database): Promise<void> {
  // Workers that start together do not wait for each other.
  await written(
    database,
    `delete from entra_sync.worker_beats where worker_id in (
       select b.worker_id from entra_sync.worker_beats b
        where b.seen_at < clock_timestamp() - interval '1 day'
          and b.seen_at < (select max(n.seen_at) from entra_sync.worker_beats n)
          for update skip locked)`,
  );
}

/** Returns the age of the newest beat of any worker in seconds; null: no worker was ever seen. */
export async function workerSeenSeconds(database: Database): Promise<number | null> {
  const [newest] = await rows<{ seen: number | null }>(
    database,
    `select greatest(0, extract(epoch from clock_timestamp() - max(seen_at)))::float8 as seen
       from entra_sync.worker_beats having max(seen_at) is not null`,
  );
  return newest?.seen ?? null;
}

/** Returns the signs by which rules/workers.ts judges. */
export async function readWorkerSigns(database: Database): Promise<WorkerSigns> {
  const [signs] = await rows<WorkerSigns>(
    database,
    `with now as materialized (select clock_timestamp() as at),
     beats as (select max(seen_at) as seen, max(seen_at) filter (where stopped_at is null) as beat
                 from entra_sync.worker_beats),
     late as (
       select t.tenant_id, least(
                case when t.next_cycle_at <= at then t.next_cycle_at
                     when t.next_cycle_at is null then greatest(t.added_at, t.last_success_at) end,
                (select min(q.requested_at) from entra_sync.cycle_requests q
                  where q.tenant_id = t.tenant_id and q.claimed_at is null)) as since
         from entra_sync.tenants t cross join now
        where t.status <> 'disconnected' and not t.paused
          and not exists (select from entra_sync.heartbeats h where h.tenant_id = t.tenant_id and h.expires_at > at))
     select extract(epoch from at - seen)::float8 as seen, extract(epoch from at - beat)::float8 as beat,
            case when exists (select from entra_sync.heartbeats h where h.expires_at > at) then 0
                 else extract(epoch from at - (
                   select c.finished_at from entra_sync.cycles c
                    where c.kind <> 'on_demand'
                      -- A worker that died had perhaps begun a cycle since its last beat.
                      and c.finished_at > coalesce(seen, '-infinity')
                      and c.started_at > coalesce(seen + interval '1 minute', '-infinity')
                    order by c.finished_at desc limit 1))::float8 end as cycle,
            (select extract(epoch from at - min(since))::float8 from late) as late,
            (select extract(epoch from min((
               select (s.document ->> 'interval')::interval from entra_sync.settings s
                where (s.tenant_id is null or s.tenant_id = l.tenant_id) and jsonb_exists(s.document, 'interval')
                order by s.tenant_id nulls last, s.version desc limit 1)))::float8
               from late l where l.since is not null) as interval
       from now cross join beats`,
  );
  if (!signs) throw new Error('the signs of workers have no row');
  return signs;
}
