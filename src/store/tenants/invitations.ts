// Invitations to the consent page, the single-use steps of browsers that follow one, and the key that signs links.
import { randomBytes } from 'node:crypto';
import { type Database, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { forgetExpiredConsents } from './waiting-consents.ts';

export type Invitation = {
  invitation_id: string;
  external_ref: string;
  name: string | null;
  /** The only tenant that the invitation may connect; null: not known yet. */
  tenant_id: string | null;
  expires_at: Date;
  expired: boolean;
};

/** Returns the installation's key for signing links, made at the first call. */
export async function signingKey(database: Database): Promise<Buffer> {
  const find = () => rows<{ key: Buffer }>(database, 'select key from entra_sync.signing_key');
  const [found] = await find();
  if (found) return found.key;
  await written(database, 'insert into entra_sync.signing_key (key) values (:key) on conflict do nothing', {
    key: randomBytes(32),
  });
  const [made] = await find();
  if (!made) throw new Error('the signing key was deleted while it was made');
  return made.key;
}

const columns = 'invitation_id, external_ref, name, tenant_id, expires_at, expires_at <= clock_timestamp() as expired';

/** An invitation with this id is made already. */
export class InvitationExists extends Error {}

export type NewInvitation = {
  /** Given by a form, so that a second press finds it made. */
  readonly invitationId?: string | undefined;
  readonly ref: string;
  readonly name: string | null;
  readonly tenantId: string | null;
  readonly expiresInMs: number;
  /** Mail addresses that become contacts of the tenant. */
  readonly contacts?: readonly string[];
  readonly actor: string;
};

/**
 * Stores an invitation for a customer. Deletes those that expired more than 30 days ago. Throws `InvitationExists` if there
 * is one with its id.
 */
export function createInvitation(database: Database, invitation: NewInvitation): Promise<Invitation> {
  return inReportedTransaction(database, (transaction) => storeInvitation(transaction, invitation));
}

/** As {@link createInvitation}, within the caller's transaction. */
export async function storeInvitation(transaction: Transaction, invitation: NewInvitation): Promise<Invitation> {
  await transaction.raw(forgetExpiredConsents);
  await transaction.raw("delete from entra_sync.invitations where expires_at < now() - interval '30 days'");
  const [created] = await rows<Invitation>(
    transaction,
    `insert into entra_sync.invitations (invitation_id, external_ref, name, tenant_id, contacts, actor, expires_at)
       values (coalesce(:invitationId::uuid, gen_random_uuid()), :ref, :name, :tenantId, :contacts, :actor,
               date_trunc('second', clock_timestamp() + :expiresInMs * interval '1 millisecond'))
       on conflict (invitation_id) do nothing returning ${columns}`,
    { ...invitation, contacts: invitation.contacts ?? [], invitationId: invitation.invitationId ?? null },
  );
  if (!created) throw new InvitationExists();
  return created;
}

/** Returns the invitation with this id; undefined if it was withdrawn. */
export async function findInvitation(database: Database, invitationId: string): Promise<Invitation | undefined> {
  const [found] = await rows<Invitation>(
    database,
    `select ${columns} from entra_sync.invitations where invitation_id = :invitationId`,
    { invitationId },
  );
  return found;
}

/** Withdraws the invitations of a customer, with open steps and waiting consents. Returns how many. */
export async function withdrawInvitations(database: Database, ref: string): Promise<number> {
  return inReportedTransaction(database, (transaction) =>
    rowCount(transaction, 'delete from entra_sync.invitations where external_ref = :ref', { ref }),
  );
}

export type NewStep = { readonly invitationId: string; readonly browser: Buffer } & (
  | { readonly step: 'sign_in'; readonly nonce: string; readonly verifier: string }
  | ({ readonly step: 'offer' | 'consent' } & Verified)
);

type Verified = {
  readonly tenantId: string;
  readonly adminId: string;
  readonly domain: string | null;
  /** The sign-in showed a role that may consent. */
  readonly administrator: boolean;
  /** Token requests since the sign-in. */
  readonly tries: number;
};

export type Step = {
  step_id: string;
  invitation_id: string;
  step: 'sign_in' | 'offer' | 'consent';
  browser: Buffer;
  nonce: string | null;
  code_verifier: string | null;
  /** From here on the facts of the verified sign-in, null before it. */
  tenant_id: string | null;
  admin_object_id: string | null;
  domain: string | null;
  administrator: boolean;
  tries: number;
  expires_at: Date;
};

/**
 * Stores the step that a browser may take next, and returns its id and end; undefined if the invitation was withdrawn.
 * `end`: a time in milliseconds from now, or the end of the sign-in before.
 */
export async function openStep(
  database: Database,
  step: NewStep,
  end: number | Date,
): Promise<{ id: string; expiresAt: Date } | undefined> {
  const none = { tenantId: null, adminId: null, domain: null, administrator: false, tries: 0 };
  const [expiresInMs, expiresAt] = typeof end === 'number' ? [end, null] : [0, end];
  const values = { nonce: null, verifier: null, ...none, ...step, expiresInMs, expiresAt };
  await written(database, 'delete from entra_sync.consent_steps where expires_at < clock_timestamp()');
  const [opened] = await written<{ id: string; expires_at: Date }>(
    database,
    `insert into entra_sync.consent_steps
       (invitation_id, step, browser, nonce, code_verifier, tenant_id, admin_object_id, domain, administrator,
        tries, expires_at)
     select invitation_id, :step, :browser, :nonce, :verifier, :tenantId::uuid, :adminId::uuid, :domain,
            :administrator, :tries,
            coalesce(:expiresAt::timestamptz,
                     date_trunc('second', clock_timestamp() + :expiresInMs * interval '1 millisecond'))
       from entra_sync.invitations where invitation_id = :invitationId for key share
     returning step_id as id, expires_at`,
    values,
  );
  return opened && { id: opened.id, expiresAt: opened.expires_at };
}

type StepKey = { readonly id: string; readonly browser: Buffer; readonly step: Step['step'] };

const stepMatches = 'step_id = :id and step = :step and browser = :browser and expires_at > clock_timestamp()';
const stepColumns = `step_id, invitation_id, step, browser, nonce, code_verifier, tenant_id, admin_object_id, domain,
  administrator, tries, expires_at`;

/** Deletes and returns a step, for one of several requests of its browser; undefined for all others. */
export async function takeStep(database: Database, step: StepKey): Promise<Step | undefined> {
  const [taken] = await written<Step>(
    database,
    `delete from entra_sync.consent_steps where ${stepMatches} returning ${stepColumns}`,
    step,
  );
  return taken;
}

/** Returns a step without taking it. */
export async function lookAtStep(database: Database, step: StepKey): Promise<Step | undefined> {
  const [found] = await rows<Step>(
    database,
    `select ${stepColumns} from entra_sync.consent_steps where ${stepMatches}`,
    step,
  );
  return found;
}
