// How far an installation without a tenant has come on the way to its first customer.
import { rows, type Transaction } from '../database/pool.ts';

export type FirstSteps = {
  /** A sign-in came back to an address of the application. */
  readonly registered: boolean;
  /** A person signed in to the web, not by the printed address of `--local`. */
  readonly signedIn: boolean;
  /** A worker was seen in the last two minutes. */
  readonly worker: boolean;
  /** Invitations that can still be used, and consents that wait for approval. */
  readonly invitations: number;
  readonly waiting: number;
};

/** Returns the facts. */
export async function readFirstSteps(read: Transaction): Promise<FirstSteps> {
  const [found] = await rows<FirstSteps>(
    read,
    `select exists (select from entra_sync.sign_in_addresses a where a.worked_at is not null) as registered,
            exists (select from entra_sync.sign_in_addresses a
                     where a.worked_at is not null and a.redirect_uri like '%/entered') as "signedIn",
            exists (select from entra_sync.worker_beats b
                     where b.stopped_at is null and b.seen_at > clock_timestamp() - interval '2 minutes') as worker,
            (select count(*) from entra_sync.invitations i where i.expires_at > clock_timestamp())::int as invitations,
            (select count(distinct w.tenant_id) from entra_sync.waiting_consents w
              where w.expires_at > clock_timestamp())::int as waiting`,
  );
  if (!found) throw new Error('the database returned no row');
  return found;
}
