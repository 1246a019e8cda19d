// Odd inputs of Graph, taken from public reports: each strikes one tenant for as long as a test wants, and says which users
// and groups may be shown otherwise than the tenant has them meanwhile.
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { rows } from '../../src/store/database/pool.ts';
import {
  altered,
  failed,
  isDelta,
  lasting,
  nothing,
  type OddDay,
  once,
  type Struck,
  unreadable,
} from './odd-strikes.ts';

const pickOf = <One>(list: readonly One[], { pick }: Struck): One | undefined => list[pick(list.length)];
const letters = (bytes: number) => randomBytes(bytes).toString('base64url');

/** Gives a user this property until the day ends; the user may be shown as before. */
const oddValue =
  (property: string, value: () => string): OddDay['strike'] =>
  (at) => {
    const { tenant } = at;
    const user = pickOf(tenant.users(), at);
    if (!user) return { ...nothing, end: () => {} };
    tenant.updateUser(user.id, { [property]: value() });
    const end = () => {
      if (tenant.users().some(({ id }) => id === user.id))
        tenant.updateUser(user.id, { [property]: user.properties[property] ?? null });
    };
    return { ...nothing, users: [user.id], end };
  };

/** Lets this resource of a user who came back fail for ever, alone and inside a batch. */
const stuckUser =
  (at: 'memberOf' | 'batch'): OddDay['strike'] =>
  (struck) => {
    const { tenant, simulator } = struck;
    const id = pickOf(tenant.users(), struck)?.id ?? '';
    tenant.deleteUser(id);
    tenant.restoreUser(id);
    const stuck = { id, at, status: 500 } as const;
    simulator.options.stuck.objects.push(stuck);
    const end = () => {
      const { objects } = simulator.options.stuck;
      objects.splice(objects.indexOf(stuck), 1);
    };
    return { ...nothing, users: [id], end };
  };

const refusals = [
  failed(400, 'Request_BadRequest'),
  failed(400, 'Directory_NeverHeardOf'),
  failed(403, 'Authorization_RequestDenied'),
  failed(404, 'Request_ResourceNotFound'),
  failed(409, 'Conflict'),
  failed(501, 'NotImplemented'),
];

const isPhone = ({ user }: { user: string }) => ({
  ids: [user],
  excused: { properties: { [user]: ['mobilePhone'] } },
});

let unfolding: Buffer | undefined;

function bomb(): Buffer {
  const part = gzipSync(Buffer.alloc(32 * 1024 * 1024, 'a'));
  return Buffer.concat([gzipSync('{"value":[],"x":"'), ...Array.from({ length: 32 }, () => part), gzipSync('"}')]);
}

/** An answer of a megabyte that unfolds to a gigabyte. */
export function unfolds() {
  unfolding ??= bomb();
  return { body: unfolding, headers: { 'Content-Encoding': 'gzip' } };
}

// As an URL parser escapes them (docs/graph.md); the rest is used byte for byte.
const escaped = (text: string) =>
  text.replaceAll(/['"<> ]|[^\0-\x7f]/gu, (letter) => (letter === "'" ? '%27' : encodeURIComponent(letter)));
const oddTail = `&odd='"< >Ü%41%2f%c3%9c+~!*()/./`;

/** The inputs of which public reports tell, by what they would have stopped. The number is the case's. */
export const oddDays: readonly OddDay[] = [
  { name: 'nothing odd', strike: () => ({ ...nothing, end: () => {} }) },
  {
    name: '1: a mail address that no index can hold',
    strike: oddValue('mail', () => `${letters(2_100)}@contoso.example`),
  },
  { name: '1: a job title of a million letters', strike: oddValue('jobTitle', () => letters(750_000)) },
  {
    name: '1: a group name of 4,000 letters',
    strike: (at) => {
      const group = pickOf(at.tenant.groups(), at);
      if (!group) return { ...nothing, end: () => {} };
      at.tenant.updateGroup(group.id, { displayName: letters(3_000), description: letters(3_000) });
      const end = () => {
        if (at.tenant.groups().some(({ id }) => id === group.id))
          at.tenant.updateGroup(group.id, { displayName: 'Short again', description: null });
      };
      return { ...nothing, groups: [group.id], end };
    },
  },
  { name: '2: a value that the database refuses', strike: oddValue('city', () => 'Poison'), codes: [1] },
  {
    name: '3: users and a group of which full rounds show the id alone',
    strike: altered(
      ({ id, '@removed': removed, 'members@delta': members }) => ({
        id,
        ...(removed !== undefined && { '@removed': removed }),
        ...(members !== undefined && { 'members@delta': members }),
      }),
      ({ user, hired, group }) => ({ ids: [user, hired, group] }),
      'full rounds',
    ),
  },
  { name: '5: a link that answers 500 for ever', strike: lasting(/skiptoken/i, [failed(500), failed(503)]) },
  {
    name: '5: a link that answers 500, 40 days between the cycles',
    strike: (at) => ({
      ...lasting(/skiptoken/i, [failed(500)])(at),
      between: () =>
        rows(
          at.database,
          "update entra_sync.rounds set started_at = started_at - interval '40 days' where tenant_id = :tenantId",
          { tenantId: at.tenant.tenantId },
        ),
    }),
  },
  { name: '6: a user whose GET answers 500 for ever', strike: unreadable((id) => `/v1.0/users/${id}`, failed(500)) },
  { name: '6: a user who fails every batch', strike: stuckUser('batch') },
  { name: '6: a user whose groups answer 500 for ever', strike: stuckUser('memberOf') },
  {
    name: '6: a group whose members answer 504 for ever',
    strike: (at) => {
      const { simulator, tenant } = at;
      const group = pickOf(tenant.groups(), at)?.id ?? '';
      const end = simulator.intercept(({ url, tenantId }) =>
        tenantId === tenant.tenantId && url.startsWith(`/v1.0/groups/${group}/members`) ? failed(504) : undefined,
      );
      return { ...nothing, groups: [group], end };
    },
  },
  { name: '7: a checkpoint that is refused for ever', strike: lasting(/deltatoken/i, refusals), codes: [3] },
  { name: '7: a checkpoint that answers 500 for ever', strike: lasting(/deltatoken/i, [failed(500)]) },
  {
    name: '7: tokens that have ended',
    strike: ({ tenant, pick }) => {
      tenant.expireTokens(pick(2) === 0 ? '410' : '400');
      return { ...nothing, end: () => {} };
    },
  },
  {
    name: '13: a Retry-After by a clock that is decades ahead',
    strike: once(isDelta, () => ({
      ...failed(429, 'TooManyRequests'),
      headers: {
        Date: new Date(Date.UTC(2100, 0, 1, 1)).toUTCString(),
        'Retry-After': new Date(Date.UTC(2100, 0, 1, 1, 0, 1)).toUTCString(),
      },
    })),
  },
  {
    name: '14: bytes that are no UTF-8',
    strike: once(isDelta, () => ({ body: Buffer.from([0x7b, 0x22, 0xfc, 0x22, 0x7d]) })),
  },
  {
    name: '15: next links with letters that no URI may hold',
    strike: ({ simulator, tenant }) => {
      const faults: string[] = [];
      const ends = [
        simulator.transform(({ tenantId }, body) => {
          const link = (body as { '@odata.nextLink'?: string })['@odata.nextLink'];
          if (tenantId !== tenant.tenantId || !link || link.endsWith(oddTail)) return body;
          return { ...body, '@odata.nextLink': `${link}${oddTail}` };
        }),
        simulator.intercept(({ tenantId, url }) => {
          const [, tail] = /(&odd=.*)$/.exec(url) ?? [];
          if (tenantId === tenant.tenantId && tail && tail !== escaped(oddTail)) faults.push(tail);
          return undefined;
        }),
      ];
      return { ...nothing, faults, end: () => ends.forEach((end) => void end()) };
    },
  },
  {
    name: '16: full rounds whose later pages hold id and names alone',
    strike: altered(
      (item) =>
        item['@removed'] === undefined && 'userPrincipalName' in item
          ? { id: item.id, displayName: item.displayName, userPrincipalName: item.userPrincipalName }
          : item,
      () => ({ ids: 'all' }),
      'later pages of full rounds',
    ),
  },
  {
    name: '17: a mobile phone that is a number, of a user who is disabled',
    // Only the odd property of this user may keep its old value.
    strike: (at) => {
      const struck = altered(
        (item) => (item['@removed'] === undefined ? { ...item, mobilePhone: 4420 } : item),
        isPhone,
        'all rounds',
      )(at);
      for (const id of Object.keys(struck.properties))
        at.tenant.updateUser(id, { accountEnabled: at.tenant.findUser(id)?.properties.accountEnabled === false });
      return struck;
    },
  },
  {
    name: '17: a user name that is no text',
    strike: altered(
      (item) => (item['@removed'] === undefined ? { ...item, userPrincipalName: { odd: true } } : item),
      ({ user }) => ({ ids: [user], excused: { users: [user] } }),
      'all rounds',
    ),
  },
  { name: '18: an answer that unfolds to a gigabyte', strike: once(isDelta, unfolds) },
];
