// A simulated tenant: its truth, to read and to edit as an administrator would.
import * as groupEdits from './group-edits.ts';
import { createKind, type Kind, renameDomain, setLicence } from './kinds.ts';
import { populateManagers } from './managers.ts';
import { fold } from './people.ts';
import { photoOf, populatePhotos, setPhoto } from './photos.ts';
import type { Picture } from './pictures.ts';
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
  /** Direct members as Graph holds them: member id -> `#microsoft.graph.user` … Soft-deleted users keep theirs. */
  members: Map<string, string>;
};

export type Tenant = {
  readonly tenantId: string;
  readonly name: string;
  /** The domain of its principal names. */
  readonly domain: string;
  /** The live users. Properties without a value are absent, never null. */
  users(): User[];
  /** By object id (deleted users too), or by user principal name in any case (live users only). */
  findUser(idOrPrincipal: string): User | undefined;
  /** The soft-deleted users. */
  deletedUsers(): User[];
  groups(): Group[];
  /** By object id, deleted groups too. */
  findGroup(id: string): Group | undefined;
  /** Adds a user and returns its id. The seed makes up missing properties; null leaves one out. */
  createUser(properties?: Properties): string;
  /** Adds a user who is no person of the tenant, such as an agent or a room; returns its id. */
  createKind(kind: Kind, address?: string): string;
  /** Gives every address of a domain another one. */
  renameDomain(before: string, after: string): void;
  setLicence(id: string, skuId: string, has: boolean): void;
  /** Changes a live user; null clears a property. A patch that changes nothing is not an edit. */
  updateUser(id: string, patch: Properties): void;
  /** Gives a live user a manager, any user or the user's own report; null: none. */
  setManager(id: string, managerId: string | null): void;
  /** Gives a live user another photo; null: none. Delta does not tell of it. */
  setPhoto(id: string, photo: 'another' | null): void;
  /** A user's photo as Graph gives it in a width; undefined: there is none, or none as large. */
  photo(id: string, width: number): Picture | undefined;
  /** Soft-deletes a user, who keeps the memberships. */
  deleteUser(id: string): void;
  /** Permanently deletes a user; groups/delta does not report the end of its memberships. */
  purgeUser(id: string): void;
  restoreUser(id: string): void;
  /** The next round reports the user again with nothing changed. */
  touchUser(id: string): void;
  /** Adds a group without members, by default an assigned security group; returns its id. */
  createGroup(properties?: Properties): string;
  updateGroup(id: string, patch: Properties): void;
  /** Soft-deletes a Microsoft 365 group or a security group of the cloud; permanently deletes any other. */
  deleteGroup(id: string): void;
  purgeGroup(id: string): void;
  restoreGroup(id: string): void;
  /** The type of users and groups is known; another id is a device unless a type is given. */
  addMember(groupId: string, memberId: string, type?: string): void;
  removeMember(groupId: string, memberId: string): void;
  /** Kills every delta and skip token so far; they are answered with this status. */
  expireTokens(how: '410' | '400'): void;
  /** Runs an edit by script, such as `hire 3` or `title ann CEO`, and reports in one line; `help` lists them in several. */
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
  /** Users soft-deleted from the start; default: none. A tenth as many more are permanently deleted. */
  deletedUsers?: number;
  /** 0..1: the share of users who have a photo; default: half. */
  photos?: number;
  /** Whether deleted security groups of the cloud can be restored, which not every tenant has yet; default: they can. */
  securityGroupsRestorable?: boolean;
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

/** Returns the state behind a tenant, for the simulator's own files. */
export function truthOf(tenant: Tenant): Truth {
  const truth = truths.get(tenant);
  if (truth === undefined) throw new Error('Not a tenant made by createTenant.');
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
    securityGroupsRestorable: options.securityGroupsRestorable ?? true,
  });
  populateUsers(truth, { users: options.users, deletedUsers: options.deletedUsers ?? 0 });
  populateManagers(truth);
  populatePhotos(truth, options.photos ?? 0.5);
  populateGroups(truth, {
    groups: options.groups ?? 0,
    largestGroup: options.largestGroup ?? Math.ceil(options.users / 2),
  });
  truth.making = false;

  const tenant: Tenant = {
    tenantId: truth.tenantId,
    name,
    get domain() {
      return truth.domain;
    },
    users: () => liveOf(truth.users).map(userOf),
    findUser(idOrPrincipal) {
      const wanted = idOrPrincipal.toLowerCase();
      const entity = truth.users.records.get(wanted);
      if (entity !== undefined) return userOf(entity);
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
    createKind: (kind, address) => createKind(truth, kind, address).id,
    renameDomain: (before, after) => void renameDomain(truth, before, after),
    setLicence: (id, skuId, has) => setLicence(truth, userEdits.entityIn(truth.users, id, ['live']), skuId, has),
    updateUser: (id, patch) => userEdits.updateUser(truth, id, patch),
    setManager: (id, managerId) => userEdits.updateUser(truth, id, { manager: managerId }),
    setPhoto: (id, photo) => setPhoto(truth, id, photo),
    photo: (id, width) => photoOf(truth, id, width),
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
