// The bench's Graph, in a process of its own: TLS, keep-alive, sign-in as the simulator answers it, and prepared pages, so
// that a contender never waits for it. The bench gives orders over HTTPS (`/bench`).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { answerDiscovery, answerKeys, answerToken } from '../src/simulator/entra/authority.ts';
import type { Authority } from '../src/simulator/entra/authority-state.ts';
import { certificatesFor, writeFiles } from '../src/simulator/entra/certificates.ts';
import { createConsents } from '../src/simulator/entra/consents.ts';
import { defaultOptions } from '../src/simulator/options.ts';
import { type Directory, guidOf, makeDirectory, type Size } from './directory.ts';
import { type Listings, makeListings } from './listings.ts';
import {
  firstGroups,
  firstUsers,
  laterRound,
  type Mix,
  makeRound,
  membershipRound,
  type RoundPages,
  userPages,
} from './pages.ts';

/** The settings of the server, as JSON in its first argument. */
export type ServerSettings = {
  readonly size: Size;
  readonly tenants: number;
  /** How often a full round emits every group. */
  readonly repeats: number;
};

/** Sent to the parent once the server listens. */
export type ServerReady = {
  readonly environment: Record<string, string>;
  readonly tenantIds: readonly string[];
  readonly memberships: number;
};

/** One order to the server. It answers with the number of requests since the last order. */
export type Order = {
  readonly latencyMs?: number;
  /** Forgets all later rounds: the next contender begins with the first, on a new database. */
  readonly restart?: true;
  /** Starts the next round of every tenant, with these changes. */
  readonly advance?: Mix;
  /** Starts the next round of every tenant, with as many changed memberships. */
  readonly memberships?: number;
  /** Starts the next round of every tenant, with one changed user. */
  readonly one?: true;
  /** Makes the pages of listings now; only some contenders use them. */
  readonly listings?: true;
};

export type Asked = { users: number; groups: number; other: number; signIn: number };

type Tenant = {
  readonly id: string;
  readonly directory: Directory;
  rounds: { users: RoundPages; groups: RoundPages }[];
  listings?: Listings;
};

const settings = JSON.parse(process.argv[2] ?? '') as ServerSettings;
const certificates = await certificatesFor('localhost');
const files = await writeFiles(certificates, undefined);
const options = defaultOptions({ clientId: guidOf(0, 'client', 0), clientSecret: 'bench' });
let latencyMs = 0;
let asked: Asked = { users: 0, groups: 0, other: 0, signIn: 0 };

const server = createServer({ key: certificates.tls.key, cert: certificates.tls.certificate }, (request, response) => {
  void answer(request, response).catch((error: unknown) => {
    response.writeHead(500).end(String(error));
  });
});
server.keepAliveTimeout = 120_000;
await new Promise<void>((listening) => server.listen(0, 'localhost', listening));
const origin = `https://localhost:${(server.address() as AddressInfo).port}`;

const tenants = Array.from({ length: settings.tenants }, (_, number) => makeTenant(number));
const byId = new Map(tenants.map((tenant) => [tenant.id, tenant]));
const authority: Authority = {
  origin,
  options,
  certificates,
  issued: new Map(),
  tenants: new Map(tenants.map(({ id }) => [id, id])),
  domains: new Map(),
  consents: createConsents(options, true),
  codes: new Map(),
  allowed: new Set(),
  userOf: () => undefined,
};

function makeTenant(number: number): Tenant {
  const directory = makeDirectory(number, settings.size);
  const users = makeRound(origin, 'users', 0, userPages(firstUsers(directory)));
  const groups = makeRound(origin, 'groups', 0, firstGroups(directory, settings.repeats));
  return { id: guidOf(number, 'tenant', number), directory, rounds: [{ users, groups }] };
}

const ready: ServerReady = {
  environment: {
    AZURE_TENANT_ID: tenants[0]?.id ?? '',
    AZURE_CLIENT_ID: options.clientId,
    AZURE_CLIENT_SECRET: options.clientSecret,
    AZURE_AUTHORITY_HOST: origin,
    GRAPH_BASE_URL: origin,
    NODE_EXTRA_CA_CERTS: files.authority,
  },
  tenantIds: tenants.map(({ id }) => id),
  memberships: (tenants[0]?.directory.members ?? []).reduce((sum, list) => sum + list.length, 0),
};
process.send?.(ready);
process.on('disconnect', () => void files.remove().finally(() => process.exit()));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '/';
  const body = request.method === 'POST' ? await textOf(request) : '';
  if (url === '/bench') {
    send(response, Buffer.from(JSON.stringify(obey(JSON.parse(body) as Order))));
    return;
  }
  if (latencyMs > 0) await wait(latencyMs);
  if (url.startsWith('/v1.0/')) {
    const token = authority.issued.get(request.headers.authorization?.slice('Bearer '.length) ?? '');
    const tenant = byId.get(token?.tenantId ?? '');
    if (!tenant) response.writeHead(401).end('{"error":{"code":"InvalidAuthenticationToken","message":"no token"}}');
    else send(response, graph(tenant, url, body));
    return;
  }
  asked.signIn += 1;
  const [, id = '', rest = ''] = /^\/([^/]+)\/([^?]*)/.exec(url) ?? [];
  const { status, body: answered } =
    rest === 'oauth2/v2.0/token'
      ? await answerToken(authority, id, body, request.headers.authorization)
      : rest === 'discovery/v2.0/keys'
        ? await answerKeys(authority, id)
        : answerDiscovery(authority, id);
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answered));
}

function graph(tenant: Tenant, url: string, body: string): Buffer {
  const [, stream, token] =
    /^\/v1\.0\/(users|groups)\/delta(?:\?.*\$(?:skip|delta)token=bench-([\d-]+))?/.exec(url) ?? [];
  if (stream === 'users' || stream === 'groups') {
    asked[stream] += 1;
    const [round = 0, page = 0] = (token ?? '').split('-').map(Number);
    const rounds = tenant.rounds[round]?.[stream] ?? makeRound(origin, stream, round - 1, []);
    return rounds[page] ?? Buffer.from('{}');
  }
  asked.other += 1;
  tenant.listings ??= makeListings(origin, tenant.id, tenant.directory);
  return tenant.listings.answer(url, body);
}

function obey(order: Order): Asked {
  const before = asked;
  asked = { users: 0, groups: 0, other: 0, signIn: 0 };
  if (order.latencyMs !== undefined) latencyMs = order.latencyMs;
  if (order.restart) for (const tenant of tenants) restart(tenant);
  if (order.listings)
    for (const tenant of tenants) tenant.listings ??= makeListings(origin, tenant.id, tenant.directory);
  const { users } = settings.size;
  if (order.advance) for (const tenant of tenants) advance(tenant, order.advance);
  if (order.memberships) for (const tenant of tenants) changeMemberships(tenant, order.memberships);
  if (order.one) for (const tenant of tenants) advance(tenant, { created: 0, deleted: 0, changed: 1 / users });
  return before;
}

function restart({ rounds, directory }: Tenant): void {
  rounds.length = 1;
  directory.userIds.length = directory.size.users;
}

function advance(tenant: Tenant, mix: Mix): void {
  const round = tenant.rounds.length;
  const { users, groups } = laterRound(tenant.directory, round, mix);
  push(tenant, users, groups);
}

function changeMemberships(tenant: Tenant, count: number): void {
  push(tenant, [], membershipRound(tenant.directory, tenant.rounds.length, count));
}

function push(tenant: Tenant, users: readonly string[], groups: readonly (readonly string[])[]): void {
  const round = tenant.rounds.length;
  tenant.rounds.push({
    users: makeRound(origin, 'users', round, userPages(users)),
    groups: makeRound(origin, 'groups', round, groups),
  });
}

function send(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
