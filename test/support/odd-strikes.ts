// How an odd input strikes: once, for ever, or by altering the objects of one tenant. The inputs themselves are in odd-days.ts.
import type { Intervention, Simulator, Tenant } from '../../src/simulator/index.ts';
import type { Database } from '../../src/store/database/pool.ts';

/** The things whose copy may keep its old state during an odd input: users, groups, single properties by user id. */
export type Excused = {
  readonly users: readonly string[];
  readonly groups: readonly string[];
  readonly properties: Readonly<Record<string, readonly string[]>>;
};

/** Where an odd input strikes. `pick` gives a number from 0 to below the one it is given. */
export type Struck = {
  readonly simulator: Simulator;
  readonly tenant: Tenant;
  readonly database: Database;
  readonly pick: (most: number) => number;
};

export type OddDay = {
  readonly name: string;
  /** Begins; `end` ends it and mends what it broke. `faults`: what was asked that must not be asked. */
  strike(at: Struck): Excused & {
    readonly end: () => void;
    readonly faults?: readonly string[];
    /** Wants to be called between two cycles. */
    readonly between?: () => Promise<unknown>;
  };
  /** Exit codes that this input alone may lead to. */
  readonly codes?: readonly number[];
};

type Body = { value?: Record<string, unknown>[]; '@odata.nextLink'?: string };

/** No excuse. */
export const nothing: Excused = { users: [], groups: [], properties: {} };

/** Whether a path is one of a delta query. */
export const isDelta = (url: string) => /^\/v1\.0\/(users|groups)\/delta/.test(url);

/** An answer with this status, and nothing of use. */
export const failed = (status: number, code = 'generalException'): Intervention => ({
  status,
  body: { error: { code } },
});

/** Gives one request of the tenant that fits this answer. */
export const once =
  (fits: (url: string) => boolean, answer: () => Intervention): OddDay['strike'] =>
  ({ simulator, tenant }) => {
    let struck = false;
    const end = simulator.intercept(({ url, tenantId }) => {
      if (struck || tenantId !== tenant.tenantId || !fits(url)) return undefined;
      struck = true;
      return answer();
    });
    return { ...nothing, end };
  };

/** Gives the first link of this kind that is asked one of these answers for ever; every other link is good. */
export const lasting =
  (kind: RegExp, answers: readonly Intervention[]): OddDay['strike'] =>
  ({ simulator, tenant, pick }) => {
    const answer = answers[pick(answers.length)];
    let dead: string | undefined;
    const end = simulator.intercept(({ url, tenantId }) => {
      if (tenantId !== tenant.tenantId || !isDelta(url) || !kind.test(url)) return undefined;
      dead ??= url;
      return url === dead ? answer : undefined;
    });
    return { ...nothing, end };
  };

type Item = Record<string, unknown>;
type Chosen = { readonly user: string; readonly hired: string; readonly group: string };

/**
 * Alters the objects of delta pages that fit, and nothing that is read by GET. In later rounds a property that is not there is
 * unchanged, so that what such a round shows in part is no part to Graph.
 */
export const altered =
  (
    alter: (item: Item) => Item,
    chosen: (ids: Chosen) => { ids: readonly string[] | 'all'; excused?: Partial<Excused> },
    where: 'full rounds' | 'later pages of full rounds' | 'all rounds',
  ): OddDay['strike'] =>
  ({ simulator, tenant, pick }) => {
    const users = tenant.users();
    const groups = tenant.groups();
    const user = users[pick(users.length)]?.id ?? '';
    const { ids, excused } = chosen({
      user,
      hired: users.at(-1)?.id ?? '',
      group: groups[pick(groups.length)]?.id ?? '',
    });
    // The day's user is edited, so that later rounds tell of it too.
    if (user !== '') tenant.touchUser(user);
    const ofFullRounds = new Set<string>();
    const end = simulator.transform(({ url, tenantId }, body) => {
      if (tenantId !== tenant.tenantId || !isDelta(url)) return body;
      const isFirst = !/(skip|delta)token/i.test(url);
      const isFull = isFirst || ofFullRounds.has(url);
      const next = (body as Body)['@odata.nextLink'];
      if (isFull && next) ofFullRounds.add(next.slice(simulator.origin.length));
      if (where !== 'all rounds' && !isFull) return body;
      if (where === 'later pages of full rounds' && isFirst) return body;
      const isMeant = ({ id }: Item) => ids === 'all' || ids.includes(String(id));
      const value = (body as Body).value?.map((item) => (isMeant(item) ? alter(item) : item));
      return { ...body, ...(value && { value }) };
    });
    return { ...nothing, ...excused, end };
  };

/** Lets a GET of one object fail for ever, alone and inside a batch; the object came back, so that it is asked for. */
export const unreadable =
  (path: (id: string) => string, answer: Intervention): OddDay['strike'] =>
  ({ simulator, tenant, pick }) => {
    const users = tenant.users();
    const user = users[pick(users.length)]?.id ?? '';
    tenant.deleteUser(user);
    tenant.restoreUser(user);
    const end = simulator.intercept(({ url, tenantId }) =>
      tenantId === tenant.tenantId && url.startsWith(path(user)) ? answer : undefined,
    );
    return { ...nothing, users: [user], end };
  };
