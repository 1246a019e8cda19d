// Webhooks as rows: made, shown, paused and taken away.
import { randomBytes } from 'node:crypto';
import type { NoticeForm, Told } from '../../rules/webhooks.ts';
import { type Database, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { naturally } from '../database/vocabulary.ts';
import { numberBatches } from '../feed/batches.ts';
import { toldContacts } from '../tenants/contacts.ts';

export type NewWebhook = {
  /** Null: the changes of all tenants. */
  readonly tenantId: string | null;
  readonly url: string;
  /** Globs; empty: all kinds. */
  readonly kinds: readonly string[];
  readonly told: Told;
  readonly insecureLocal: boolean;
  readonly form: 'changes' | NoticeForm;
  readonly actor: string;
};

export type ListedWebhook = {
  readonly webhook_id: string;
  readonly tenant_id: string | null;
  readonly tenant_name: string | null;
  readonly url: string;
  readonly kinds: readonly string[];
  readonly told: Told;
  readonly insecure_local: boolean;
  readonly form: 'changes' | NoticeForm;
  readonly state: 'active' | 'paused';
  readonly paused_because: 'by_hand' | 'gone' | 'failing' | null;
  readonly failures: number;
  readonly failing_since: Date | null;
  readonly next_at: Date;
  /** When the oldest change was made that is not taken yet; null: none is left. */
  readonly behind_since: Date | null;
  /** When a lot was taken last. */
  readonly taken_at: Date | null;
  readonly old_secret_until: Date | null;
  readonly created_by: string;
  readonly created_at: Date;
  /** The status of the last attempt, or why it had none. */
  readonly last_status: number | null;
  readonly last_problem: string | null;
  /** False for a contact of a tenant whose settings say `notify.customer: false`. */
  readonly is_told: boolean;
};

export type WebhookAttempt = {
  readonly at: Date;
  readonly message_id: string;
  readonly changes: number;
  readonly status: number | null;
  readonly problem: string | null;
  readonly answer: string | null;
  readonly ms: number;
};

const secretBytes = 32;
/** The time for which a secret that was rotated still signs beside the new one, in milliseconds. */
export const bothSecretsMs = 24 * 3_600_000;
const attemptsKept = '30 days';

/** Adds a webhook that begins at the end of the feed. Returns its id and its secret, which nothing shows again. */
export async function addWebhook(database: Database, webhook: NewWebhook): Promise<{ id: string; secret: Buffer }> {
  const secret = randomBytes(secretBytes);
  const [made] = await written<{ id: string }>(
    database,
    `insert into entra_sync.webhooks (tenant_id, url, kinds, told, insecure_local, form, secret, position, created_by)
     values (:tenantId::uuid, :url, :kinds::text[], :told, :insecureLocal, :form, :secret,
             directory.feed_position(), :actor)
     returning webhook_id as id`,
    { ...webhook, secret },
  );
  if (!made) throw new Error('the webhook was not made');
  return { id: made.id, secret };
}

/** Returns the webhooks of a tenant and of all tenants; null: every webhook. */
export function listWebhooks(on: Database | Transaction, tenantId: string | null = null): Promise<ListedWebhook[]> {
  return rows<ListedWebhook>(
    on,
    `select w.webhook_id, w.tenant_id, t.name as tenant_name, w.url, w.kinds, w.told, w.insecure_local, w.form, w.state,
            w.paused_because, w.failures, w.failing_since, w.next_at, w.behind_since, w.taken_at,
            case when w.old_secret_until > clock_timestamp() then w.old_secret_until end as old_secret_until,
            w.created_by, w.created_at, a.status as last_status, a.problem as last_problem,
            w.form <> 'contact' or ${toldContacts('w.tenant_id')} as is_told
       from entra_sync.webhooks w
       left join entra_sync.tenants t using (tenant_id)
       left join lateral (select x.status, x.problem from entra_sync.webhook_attempts x
                           where x.webhook_id = w.webhook_id order by x.attempt_id desc limit 1) a on true
      where :tenantId::uuid is null or w.tenant_id is null or w.tenant_id = :tenantId
      order by ${naturally('t.name')} nulls first, w.url, w.webhook_id`,
    { tenantId },
  );
}

/** Returns the last attempts of a webhook, newest first. */
export function listAttempts(on: Database | Transaction, webhookId: string, limit: number): Promise<WebhookAttempt[]> {
  return rows<WebhookAttempt>(
    on,
    `select at, message_id, changes, status, problem, answer, ms from entra_sync.webhook_attempts
      where webhook_id = :webhookId order by attempt_id desc limit :limit`,
    { webhookId, limit },
  );
}

/** Returns the secrets that sign now: the one in force, and for a day the one before. */
export async function secretsOf(database: Database, webhookId: string): Promise<Buffer[]> {
  const [found] = await rows<{ secret: Buffer; old: Buffer | null }>(
    database,
    `select secret, case when old_secret_until > clock_timestamp() then old_secret end as old
       from entra_sync.webhooks where webhook_id = :webhookId`,
    { webhookId },
  );
  return found ? [found.secret, ...(found.old ? [found.old] : [])] : [];
}

/** Pauses a webhook. Returns false if it was paused already. */
export async function pauseWebhook(database: Database, webhookId: string): Promise<boolean> {
  const paused = await rowCount(
    database,
    `update entra_sync.webhooks set state = 'paused', paused_because = 'by_hand'
      where webhook_id = :webhookId and state = 'active'`,
    { webhookId },
  );
  return paused > 0;
}

/** Lets a webhook go on where it stood, at once. Returns false if it was neither paused nor failing. */
export async function resumeWebhook(database: Database, webhookId: string): Promise<boolean> {
  const resumed = await rowCount(
    database,
    `update entra_sync.webhooks
        set state = 'active', paused_because = null, failures = 0, failing_since = null, next_at = clock_timestamp()
      where webhook_id = :webhookId and (state = 'paused' or failures > 0)`,
    { webhookId },
  );
  return resumed > 0;
}

/** Takes a webhook away, with its log. */
export async function removeWebhook(database: Database, webhookId: string): Promise<void> {
  await written(database, 'delete from entra_sync.webhooks where webhook_id = :webhookId', { webhookId });
}

/** Gives a webhook a new secret. The one before signs too, for a day. Returns the new one. */
export async function rotateSecret(database: Database, webhookId: string): Promise<Buffer> {
  const secret = randomBytes(secretBytes);
  await written(
    database,
    `update entra_sync.webhooks
        set old_secret = secret, secret = :secret,
            old_secret_until = clock_timestamp() + make_interval(secs => :bothSecretsMs / 1000.0)
      where webhook_id = :webhookId`,
    { webhookId, secret, bothSecretsMs },
  );
  return secret;
}

/** Returns the time of the oldest change that the feed still has; null without one. */
async function oldestChange(database: Database): Promise<Date | null> {
  const [found] = await rows<{ at: Date | null }>(
    database,
    `select min(b.committed_at) as at from entra_sync.feed f join entra_sync.batches b on b.number > f.pruned_number
      where f.pruned_number > 0`,
  );
  return found?.at ?? null;
}

/**
 * Sends a webhook again what was committed at a time or later. Returns the oldest time that the feed has if `from` is older
 * than what it has, and changes nothing then.
 */
export async function replayWebhook(
  database: Database,
  webhookId: string,
  from: string,
): Promise<{ readonly tooOld: Date } | 'replayed'> {
  const oldest = await oldestChange(database);
  if (oldest !== null && Date.parse(from) < oldest.getTime()) return { tooOld: oldest };
  // A batch of just now has its place in the feed first, or it would not be sent again.
  await numberBatches(database);
  await written(
    database,
    `update entra_sync.webhooks
        set lot_id = null, lot_at = null, lot_changes = null, lot_to = null, lot_notice = null,
            claim = null, claimed_until = null,
            next_at = clock_timestamp(),
            position = coalesce((
              select concat_ws(':', e.epoch, b.number, c.change_id - 1)
                from entra_sync.batches b
               cross join entra_sync.feed e
               cross join lateral (select min(x.change_id) as change_id from entra_sync.changes x
                                    where x.batch_id = b.batch_id) c
               where b.number is not null and b.committed_at >= :from and c.change_id is not null
               order by b.number limit 1), directory.feed_position())
      where webhook_id = :webhookId`,
    { webhookId, from },
  );
  return 'replayed';
}

/** Deletes attempts of more than 30 days ago. */
export async function forgetAttempts(database: Database): Promise<void> {
  await written(
    database,
    `delete from entra_sync.webhook_attempts where at < clock_timestamp() - interval '${attemptsKept}'`,
  );
}

export type WebhookCounts = Readonly<Record<'active' | 'failing' | 'paused' | 'stopped' | 'behind_seconds', number>>;

/** Returns how many webhooks are in which state, and the age of the oldest change that is not taken, in seconds. */
export async function countWebhooks(database: Database): Promise<WebhookCounts> {
  const [found] = await rows<WebhookCounts>(
    database,
    `select count(*) filter (where state = 'active' and failures = 0)::int as active,
            count(*) filter (where state = 'active' and failures > 0)::int as failing,
            count(*) filter (where paused_because = 'by_hand')::int as paused,
            count(*) filter (where paused_because in ('gone', 'failing'))::int as stopped,
            greatest(0, coalesce(extract(epoch from clock_timestamp() -
              min(behind_since) filter (where state = 'active')), 0))::float8 as behind_seconds
       from entra_sync.webhooks`,
  );
  return found ?? { active: 0, failing: 0, paused: 0, stopped: 0, behind_seconds: 0 };
}
