// A simulated tenant: its truth to look at and to edit, as an administrator would.
import * as groupEdits from './group-edits.ts';
import { fold } from './people.ts';
import { populateGroups, populateUsers } from './population.ts';
import { createRandom } from './random.ts';
import { runScript } from './script.ts';
import { createTruth, type Entity, liveOf, type Properties, type Truth } from './truth.ts';
import * as userEdits from './user-edits.ts';

export type User = { id: string; deleted?: 'soft' | 'hard'; properties: Record<string, unknown> };
export type Group = {
  id: string;
  deleted?: 'soft' | 'hard';
  properties: Record<string, unknown>;
  /** Direct members as Graph holds them: member id -> `#microsoft.graph.user` … Softly deleted users keep theirs. */
  members: Map<string, string>;
};

export type Tenant = {
  readonly tenantId: string;
  readonly name: string;
  /** The live users. Properties that have no value are absent, never null. */
  users(): User[];
  /** By object id (deleted ones too) or, live ones only, by user principal name in any case. */
  findUser(idOrPrincipal: string): User | undefined;
  /** The users that can still be restored. */
  deletedUsers(): User[];
  /** The live groups. */
  groups(): Group[];
  /** By object id, deleted ones too. */
  findGroup(id: string): Group | undefined;
  /** Adds a user; what is not given is made up by the seeded generator, null leaves a property out. Gives the id. */
  createUser(properties?: Properties): string;
  /** Changes a live user; null clears a property. A patch that changes nothing is no edit. */
  updateUser(id: string, patch: Properties): void;
  /** Soft: restorable, keeps its memberships. */
  deleteUser(id: string): void;
  /** Gone for good, from the live state too; its memberships end without a word in groups/delta. */
  purgeUser(id: string): void;
  restoreUser(id: string): void;
  /** Has the user reported again in the next round with nothing changed. */
  touchUser(id: string): void;
  /** Adds an assigned security group without members unless the properties say otherwise. Gives the id. */
  createGroup(properties?: Properties): string;
  updateGroup(id: string, patch: Properties): void;
  /** Soft for Microsoft 365 groups, for good otherwise. */
  deleteGroup(id: string): void;
  purgeGroup(id: string): void;
  restoreGroup(id: string): void;
  /** The type is found out for users and groups; other ids are devices unless a type is given. */
  addMember(groupId: string, memberId: string, type?: string): void;
  removeMember(groupId: string, memberId: string): void;
  /** Every delta and skip token handed out so far is dead and answered with this status. */
  expireTokens(how: '410' | '400'): void;
  /** An edit by script, such as `hire 3`; says in one line what it did. An unknown word is an error that lists them. */
  run(line: string): string;
};

export type TenantOptions = {
  /** Default: made from the seed. */
  tenantId?: string;
  /** Default: made from the seed. */
  name?: string;
  seed: number;
  users: number;
  /** Default: none. */
  groups?: number;
  /** Members of the largest group; default: half of the users. */
  largestGroup?: number;
  /** Users that were deleted softly before anybody looked; default: none. One in ten more is gone for good. */
  deletedUsers?: number;
};

const truths = new WeakMap<Tenant, Truth>();
const companies = [
  'Contoso Ltd',
  'Fabrikam GmbH & Co. KG',
  "L'Étoile S.A.",
  'Nordwind AS',
  'Adatum Corp',
  'Łucja Sp. z o.o.',
];

/** The state behind a tenant, for the simulator's own files. */
export function truthOf(tenant: Tenant): Truth {
  const truth = truths.get(tenant);
  if (truth === undefined) {
    throw new Error('Not a tenant made by createTenant.');
  }
  return truth;
}

function userOf(entity: Entity): User {
  const user = { id: entity.id, properties: entity.state === 'hard' ? {} : { ...entity.properties } };
  return entity.state === 'live' ? user : { ...user, deleted: entity.state };
}

function groupOf(entity: Entity): Group {
  const members = new Map<string, string>();
  for (const [id, link] of entity.links) {
    if (link.present) {
      members.set(id, link.type);
    }
  }
  return { ...userOf(entity), members };
}

/** Makes a tenant. The same options and the same edits always give the same tenant. */
export function createTenant(options: TenantOptions): Tenant {
  const random = createRandom(`identity ${options.seed}`);
  const [madeId, madeName] = [random.guid(), random.pick(companies)];
  const name = options.name ?? madeName;
  const truth = createTruth({
    tenantId: (options.tenantId ?? madeId).toLowerCase(),
    name,
    domain: `${fold(name) || 'tenant'}.example`,
    seed: options.seed,
  });
  populateUsers(truth, { users: options.users, deletedUsers: options.deletedUsers ?? 0 });
  populateGroups(truth, {
    groups: options.groups ?? 0,
    largestGroup: options.largestGroup ?? Math.ceil(options.users / 2),
  });
  truth.making = false;

  const tenant: Tenant = {
    tenantId: truth.tenantId,
    name,
    users: () => liveOf(truth.users).map(userOf),
    findUser(idOrPrincipal) {
      const wanted = idOrPrincipal.toLowerCase();
      const entity = truth.users.records.get(wanted);
      if (entity !== undefined) {
        return userOf(entity);
      }
      const holder = truth.users.records.get(truth.principals.get(wanted) ?? '');
      return holder?.state === 'live' ? userOf(holder) : undefined;
    },
    deletedUsers: () => truth.users.order.filter((user) => user.state === 'soft').map(userOf),
    groups: () => liveOf(truth.groups).map(groupOf),
    findGroup(id) {
      const entity = truth.groups.records.get(id.toLowerCase());
      return entity && groupOf(entity);
    },
    createUser: (properties) => userEdits.createUser(truth, properties).id,
    updateUser: (id, patch) => userEdits.updateUser(truth, id, patch),
    deleteUser: (id) => userEdits.deleteUser(truth, id),
    purgeUser: (id) => userEdits.purgeUser(truth, id),
    restoreUser: (id) => userEdits.restoreUser(truth, id),
    touchUser: (id) => userEdits.touchUser(truth, id),
    createGroup: (properties) => groupEdits.createGroup(truth, properties).id,
    updateGroup: (id, patch) => groupEdits.updateGroup(truth, id, patch),
    deleteGroup: (id) => groupEdits.deleteGroup(truth, id),
    purgeGroup: (id) => groupEdits.purgeGroup(truth, id),
    restoreGroup: (id) => groupEdits.restoreGroup(truth, id),
    addMember: (groupId, memberId, type) => groupEdits.addMember(truth, groupId, memberId, type),
    removeMember: (groupId, memberId) => groupEdits.removeMember(truth, groupId, memberId),
    expireTokens(how) {
      truth.expiries.push(how);
    },
    run: (line) => runScript(truth, line),
  };
  truths.set(tenant, truth);
  return tenant;
}
