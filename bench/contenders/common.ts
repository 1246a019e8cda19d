// Shared by the measured programs. Each is a process that does one job and reports its measurements.
import { once } from 'node:events';
import type { Asked, Order } from '../server.ts';

export type Job = {
  readonly databaseUrl: string;
  readonly tenantIds: readonly string[];
  readonly wishes: Readonly<Record<string, string | number | boolean>>;
};

export type Found = {
  readonly seconds: number;
  readonly [more: string]: number | readonly number[] | Readonly<Record<string, number>>;
};

/** Adds the CPU time of the process since {@link begin}, and its peak of resident memory. */
export type Took = Found & { readonly cpuSeconds: number; readonly peakBytes: number };

export function readJob(): Job {
  return JSON.parse(process.argv[2] ?? '') as Job;
}

/** Reports to the parent and ends the process, even with open connections. */
export async function finish(took: Found): Promise<never> {
  const { user, system } = process.cpuUsage(atBegin);
  const cpuSeconds = (user + system) / 1e6;
  const line = JSON.stringify({ ...took, cpuSeconds, peakBytes: process.resourceUsage().maxRSS * 1024 });
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
  process.exit(0);
}

let atBegin: NodeJS.CpuUsage | undefined;

/** Starts to count time and CPU: everything is loaded, nothing is done yet. */
export function begin(): number {
  atBegin = process.cpuUsage();
  return performance.now();
}

/** Returns the seconds since `started`, a reading of performance.now(). */
export function since(started: number): number {
  return (performance.now() - started) / 1000;
}

export function origin(): string {
  return process.env.GRAPH_BASE_URL ?? '';
}

/** Sends an order to the bench's Graph; returns the number of requests since the last order. */
export async function order(what: Order): Promise<Asked> {
  const answer = await fetch(`${origin()}/bench`, { method: 'POST', body: JSON.stringify(what) });
  return (await answer.json()) as Asked;
}

/** Returns an access token of a tenant, without a library. */
export async function signIn(tenantId: string): Promise<string> {
  const answer = await fetch(`${origin()}/${tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: process.env.AZURE_CLIENT_ID ?? '',
      client_secret: process.env.AZURE_CLIENT_SECRET ?? '',
      scope: `${origin()}/.default`,
    }),
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  return token;
}

export type Page = {
  value: Record<string, unknown>[];
  '@odata.nextLink'?: string;
  '@odata.deltaLink'?: string;
};

const people =
  'id,userPrincipalName,mail,displayName,accountEnabled,userType,businessPhones,city,companyName,country,department,faxNumber,givenName,jobTitle,mobilePhone,officeLocation,postalCode,state,streetAddress,surname';
const groups = 'id,displayName,description,mail,mailEnabled,mailNickname,securityEnabled,groupTypes,visibility,members';

/** Returns the first URL of each stream, with the properties that entra-sync selects by default. */
export const firstUrl = {
  users: () => `${origin()}/v1.0/users/delta?$select=${people}`,
  groups: () => `${origin()}/v1.0/groups/delta?$select=${groups}`,
};

/** The tables that the floor and the hand-written loop fill, with the keys of a usable copy. */
export const plainTables = `
create table plain_accounts (
  account_id uuid primary key default gen_random_uuid(), tenant_id uuid not null, entra_object_id uuid not null,
  enabled boolean not null, user_principal_name text, mail text, profile jsonb not null,
  unique (tenant_id, entra_object_id));
create index on plain_accounts (tenant_id, lower(user_principal_name));
create index on plain_accounts (tenant_id, lower(mail));
create table plain_groups (
  group_no bigint primary key, group_id uuid not null unique default gen_random_uuid(), tenant_id uuid not null,
  entra_object_id uuid not null, display_name text, description text, mail text, attributes jsonb not null,
  unique (tenant_id, entra_object_id));
create table plain_memberships (
  group_no bigint not null, member_object_id uuid not null, member_type "char" not null,
  primary key (group_no, member_object_id));
create index on plain_memberships (member_object_id, group_no);`;
