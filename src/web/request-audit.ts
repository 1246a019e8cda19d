// The lines that a request leaves in the audit: the actor, the role and the tenant.
import type { FastifyRequest } from 'fastify';
import { asGuid } from '../rules/decode.ts';
import type { Database } from '../store/database/pool.ts';
import { writeAudit } from '../store/feed/audit.ts';
import { roleFor, type Viewer } from './access.ts';
import type { Asked, Audited } from './page.ts';

const isOps = (role: string) => role.startsWith('ops');

/** Writes the lines of a page or act that the viewer may use. `reference`: the request's id. */
export function auditAsked(
  database: Database,
  reference: string,
  { viewer, route, params }: Asked,
  lines: readonly Audited[],
): Promise<void> {
  const role = roleFor(viewer, route, params.tenant) ?? 'everybody';
  // Ops act in the tenant of the page, and never in the one that they signed in to.
  const tenantId = params.tenant ?? (isOps(role) ? null : viewer.tenantId);
  // An operator who looks as a person is named, and not the person.
  const actor = viewer.standing?.actor ?? viewer.actor;
  const by = { actor, role, via: 'web', tenantId, reference } as const;
  return writeAudit(
    database,
    lines.map((line) => ({ ...by, ...line })),
  );
}

/**
 * Writes the line of a form that was refused to a person who is signed in. It is of the person's own tenant, unless the
 * person is of the vendor: another tenant's audit is no place for the ids of strangers.
 */
export function auditRefusal(
  database: Database,
  { id: reference, params }: FastifyRequest,
  { actor, standing, roles, tenantId: own }: Viewer,
  { act, outcome }: { readonly act: string; readonly outcome: string },
): Promise<void> {
  const { tenant = '', account = '' } = params as Record<string, string>;
  const [role = 'none'] = roles;
  const asked = asGuid(tenant) ?? null;
  const tenantId = isOps(role) ? asked : own;
  const of = { tenantId, accountId: asGuid(account) ?? null };
  const detail = { outcome, ...(asked !== null && asked !== tenantId && { tenant: asked }) };
  return writeAudit(database, [{ ...of, actor: standing?.actor ?? actor, role, via: 'web', act, detail, reference }]);
}
