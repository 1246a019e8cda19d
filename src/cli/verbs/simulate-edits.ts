// The lines that edit simulated tenants, typed or from a script: their tenant, then the edit.
import type { Simulator, Tenant } from '../../simulator/index.ts';

/**
 * Runs one line, and returns its result or error, one line per tenant. `in NAME …` and `in all …` name the tenant. Without that
 * it is the tenant of a principal name in the line, else the first one.
 */
export function runLine(consents: Simulator['consents'] | undefined, tenants: readonly Tenant[], line: string): string {
  const [, quoted, plain, inside] = /^in\s+(?:"([^"]*)"|(\S+))\s*(.*)$/.exec(line) ?? [];
  const named = quoted ?? plain;
  const edit = inside ?? line;
  if (edit === 'help') return helpOf(tenants);
  const chosen = named === undefined ? [ofDomain(tenants, line) ?? tenants[0]] : tenantsCalled(tenants, named);
  if (chosen.length === 0)
    return `There is no tenant '${named}'; there are ${tenants.map(({ name }) => name).join(', ')}.`;
  return chosen
    .flatMap((tenant) =>
      tenant ? [`${tenants.length > 1 ? `${tenant.name}: ` : ''}${runOne(consents, tenant, edit)}`] : [],
    )
    .join('\n');
}

function tenantsCalled(tenants: readonly Tenant[], word: string): readonly Tenant[] {
  const wanted = word.toLowerCase();
  if (wanted === 'all') return tenants;
  return tenants.filter(({ name, tenantId, domain }) => [name.toLowerCase(), tenantId, domain].includes(wanted));
}

function ofDomain(tenants: readonly Tenant[], line: string): Tenant | undefined {
  const domains = [...line.toLowerCase().matchAll(/@([\w.-]+)/g)].map(([, domain]) => domain);
  return tenants.find(({ domain }) => domains.includes(domain));
}

function runOne(consents: Simulator['consents'] | undefined, tenant: Tenant, line: string): string {
  if (consents && (line === 'consent' || line === 'revoke')) return consentLine(consents, tenant, line);
  try {
    return tenant.run(line);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function consentLine(consents: Simulator['consents'], { tenantId, name }: Tenant, line: 'consent' | 'revoke'): string {
  if (line === 'consent') consents.grant(tenantId);
  else consents.revoke(tenantId);
  const granted = consents.granted(tenantId);
  return granted ? `${name} has consented to ${granted.join(', ')}` : `${name} has revoked its consent`;
}

function helpOf(tenants: readonly Tenant[]): string {
  const several =
    tenants.length > 1
      ? ['Before an edit: in TENANT or in all; else the tenant of the principal name, or the first one.']
      : [];
  return [tenants[0]?.run('help') ?? '', 'consent and revoke give and take back consent.', ...several].join('\n');
}
