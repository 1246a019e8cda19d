// Odd inputs of Graph from public reports. Each strikes one tenant until the test ends it, and names the users and groups
// whose copy may differ from the tenant meanwhile.
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Intervention, Simulator, Tenant } from '../../src/simulator/index.ts';

/** Users and groups that an odd input concerns; their copy may stay as it was. */
export type Excused = { readonly users: readonly string[]; readonly groups: readonly string[] };

export type OddDay = {
  readonly name: string;
  /** Starts it; `end` ends it and repairs the tenant. */
  strike(at: { simulator: Simulator; tenant: Tenant; pick: (most: number) => number }): Excused & { end: () => void };
};

type Body = { value?: Record<string, unknown>[]; '@odata.nextLink'?: string };

const nothing: Excused = { users: [], groups: [] };
const isDelta = (url: string) => /^\/v1\.0\/(users|groups)\/delta/.test(url);
const once = (fits: (url: string) => boolean, answer: Intervention): OddDay['strike'] => {
  return ({ simulator, tenant }) => {
    let struck = false;
    const end = simulator.intercept(({ url, tenantId }) => {
      if (struck || tenantId !== tenant.tenantId || !fits(url)) return undefined;
      struck = true;
      return answer;
    });
    return { ...nothing, end };
  };
};

/** Answers the first requested link of this kind for ever; other links work. */
const lasting = (kind: RegExp, answer: Intervention): OddDay['strike'] => {
  return ({ simulator, tenant }) => {
    let dead: string | undefined;
    const end = simulator.intercept(({ url, tenantId }) => {
      if (tenantId !== tenant.tenantId || !isDelta(url) || !kind.test(url)) return undefined;
      dead ??= url;
      return url === dead ? answer : undefined;
    });
    return { ...nothing, end };
  };
};

/**
 * Alters matching objects of delta pages, and leaves GET as it is. In later rounds a missing property means unchanged, so a
 * part of an object is not in doubt there.
 */
const altered =
  (
    alter: (item: Record<string, unknown>) => Record<string, unknown>,
    chosen: (ids: { user: string; group: string }) => { ids: readonly string[]; excused?: Partial<Excused> },
    where: 'full rounds' | 'all rounds',
  ): OddDay['strike'] =>
  ({ simulator, tenant, pick }) => {
    const users = tenant.users();
    const groups = tenant.groups();
    const user = users[pick(users.length)]?.id ?? '';
    const group = groups[pick(groups.length)]?.id ?? '';
    const { ids, excused } = chosen({ user, group });
    // Touch the user, so that later rounds show it too.
    if (user !== '' && ids.includes(user)) tenant.touchUser(user);
    const ofFullRounds = new Set<string>();
    const end = simulator.transform(({ url, tenantId }, body) => {
      if (tenantId !== tenant.tenantId || !isDelta(url)) return body;
      const isFull = !/(skip|delta)token/i.test(url) || ofFullRounds.has(url);
      const next = (body as Body)['@odata.nextLink'];
      if (isFull && next) ofFullRounds.add(next.slice(simulator.origin.length));
      if (where === 'full rounds' && !isFull) return body;
      const value = (body as Body).value?.map((item) => (ids.includes(String(item.id)) ? alter(item) : item));
      return { ...body, ...(value && { value }) };
    });
    return { ...nothing, ...excused, end };
  };

/** A GET of one user fails for ever, alone and in a `$batch`. The user is deleted and restored, so that it is asked for. */
const unreadable =
  (path: (id: string) => string, answer: Intervention): OddDay['strike'] =>
  ({ simulator, tenant, pick }) => {
    const users = tenant.users();
    const user = users[pick(users.length)]?.id ?? '';
    tenant.deleteUser(user);
    tenant.restoreUser(user);
    const end = simulator.intercept(({ url, tenantId }) =>
      tenantId === tenant.tenantId && url.startsWith(path(user)) ? answer : undefined,
    );
    return { users: [user], groups: [], end };
  };

const failed = (status: number, code = 'generalException'): Intervention => ({ status, body: { error: { code } } });

export const oddDays: readonly OddDay[] = [
  { name: 'nothing odd', strike: () => ({ ...nothing, end: () => {} }) },
  {
    name: 'a mail address that no index can hold',
    strike: ({ tenant, pick }) => {
      const users = tenant.users();
      const user = users[pick(users.length)];
      if (!user) return { ...nothing, end: () => {} };
      tenant.updateUser(user.id, { mail: `${randomBytes(2_100).toString('base64url')}@contoso.example` });
      const end = () => {
        if (tenant.users().some(({ id }) => id === user.id))
          tenant.updateUser(user.id, { mail: user.properties.mail ?? null });
      };
      return { users: [user.id], groups: [], end };
    },
  },
  { name: 'a link that answers 500 for ever', strike: lasting(/skiptoken/i, failed(500)) },
  { name: 'a checkpoint that is refused for ever', strike: lasting(/deltatoken/i, failed(400, 'Request_BadRequest')) },
  { name: 'a checkpoint that answers 500 for ever', strike: lasting(/deltatoken/i, failed(500)) },
  { name: 'a user whose GET answers 500 for ever', strike: unreadable((id) => `/v1.0/users/${id}`, failed(500)) },
  {
    name: 'a group whose members answer 504 for ever',
    strike: ({ simulator, tenant, pick }) => {
      const groups = tenant.groups();
      const group = groups[pick(groups.length)]?.id ?? '';
      const end = simulator.intercept(({ url, tenantId }) =>
        tenantId === tenant.tenantId && url.startsWith(`/v1.0/groups/${group}/members`) ? failed(504) : undefined,
      );
      return { users: [], groups: [group], end };
    },
  },
  {
    name: 'a user and a group that delta shows with their ids alone',
    strike: altered(
      ({ id, '@removed': removed, 'members@delta': members }) => ({
        id,
        ...(removed !== undefined && { '@removed': removed }),
        ...(members !== undefined && { 'members@delta': members }),
      }),
      ({ user, group }) => ({ ids: [user, group] }),
      'full rounds',
    ),
  },
  {
    name: 'a mobile phone that is a number',
    // The user's other properties must be right; only the odd one may stay as it was.
    strike: altered(
      (item) => (item['@removed'] === undefined ? { ...item, mobilePhone: 4420 } : item),
      ({ user }) => ({ ids: [user], excused: { users: [user] } }),
      'all rounds',
    ),
  },
  {
    name: 'a user name that is not text',
    strike: altered(
      (item) => (item['@removed'] === undefined ? { ...item, userPrincipalName: { odd: true } } : item),
      ({ user }) => ({ ids: [user], excused: { users: [user] } }),
      'all rounds',
    ),
  },
  {
    name: 'an answer that decompresses to 70 MiB',
    strike: once(isDelta, {
      body: gzipSync(`{"value":[],"x":"${'a'.repeat(70 * 1024 * 1024)}"}`),
      headers: { 'Content-Encoding': 'gzip' },
    }),
  },
  { name: 'bytes that are not UTF-8', strike: once(isDelta, { body: Buffer.from([0x7b, 0x22, 0xfc, 0x22, 0x7d]) }) },
  {
    name: 'a Retry-After by a clock that is an hour ahead',
    strike: once(isDelta, {
      ...failed(429, 'TooManyRequests'),
      headers: {
        Date: new Date(Date.UTC(2100, 0, 1, 1)).toUTCString(),
        'Retry-After': new Date(Date.UTC(2100, 0, 1, 1, 0, 1)).toUTCString(),
      },
    }),
  },
  {
    name: 'a ring of groups that closes and opens',
    strike: ({ tenant }) => {
      const ring = tenant
        .groups()
        .slice(0, 6)
        .map(({ id }) => id);
      for (const [n, id] of ring.entries()) {
        const next = ring[(n + 1) % ring.length] ?? id;
        if (next !== id) tenant.addMember(id, next);
      }
      const end = () => {
        const [first, second] = ring;
        const there = tenant.groups().find(({ id }) => id === first);
        if (first && second && there?.members.has(second)) tenant.removeMember(first, second);
      };
      return { ...nothing, end };
    },
  },
];
