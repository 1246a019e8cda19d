// Edits of a named user or group by script: `title ann@contoso.example Chief Executive Officer`.
import { addMember, deleteGroup, purgeGroup, removeMember, restoreGroup, updateGroup } from './group-edits.ts';
import { clearEverywhere, createKind, type Kind, renameDomain, setLicence } from './kinds.ts';
import { isKnownProperty, schemas } from './properties.ts';
import type { Entity, State, Truth } from './truth.ts';
import { createUser, deleteUser, purgeUser, restoreUser, updateUser } from './user-edits.ts';

/** One edit: how it is written after its word, its effect in words, and what it does. */
type NamedEdit = {
  readonly form: string;
  readonly says: string;
  readonly act: (truth: Truth, words: string[]) => string;
};

const lower = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : undefined);

function only(found: readonly Entity[], what: string, word: string): Entity {
  const [one] = found;
  if (one && found.length === 1) return one;
  throw new Error(
    one
      ? `${found.length} ${what}s are called '${word}': name one by its id (${found
          .slice(0, 3)
          .map(({ id }) => id)
          .join(', ')}).`
      : `There is no ${what} '${word}'; a name with blanks stands in quotes.`,
  );
}

/** Returns the user of an id, a principal name with or without its domain, or a display name. */
function person(truth: Truth, word: string | undefined, states: readonly State[] = ['live']): Entity {
  const wanted = lower(word) ?? '';
  if (wanted === '') throw new Error('No user was named.');
  const inState = (user: Entity) => states.includes(user.state);
  const byId = truth.users.records.get(wanted);
  if (byId && inState(byId)) return byId;
  const matching = (is: (user: Entity) => boolean) => truth.users.order.filter((user) => inState(user) && is(user));
  const principals = matching(({ properties }) => lower(properties.userPrincipalName) === wanted);
  if (principals.length > 0) return only(principals, 'user', wanted);
  const others = matching(
    ({ properties }) =>
      lower(properties.displayName) === wanted || lower(properties.userPrincipalName)?.split('@')[0] === wanted,
  );
  return only(others, states[0] === 'soft' ? 'deleted user' : 'user', word ?? '');
}

function groupOf(truth: Truth, word: string | undefined, states: readonly State[] = ['live']): Entity {
  const wanted = lower(word) ?? '';
  if (wanted === '') throw new Error('No group was named.');
  const found = truth.groups.order.filter(
    ({ id, state, properties }) =>
      states.includes(state) && (id === wanted || lower(properties.displayName) === wanted),
  );
  return only(found, states[0] === 'soft' ? 'deleted group' : 'group', word ?? '');
}

const nameOf = ({ properties }: Entity) => String(properties.userPrincipalName ?? properties.displayName);

function textOf(words: readonly string[], what: string): string {
  const text = words.join(' ').trim();
  if (text === '') throw new Error(`No ${what} was given.`);
  return text;
}

function setter(property: string, what: string): NamedEdit['act'] {
  return (truth, [who, ...rest]) => {
    const user = person(truth, who);
    const value = textOf(rest, what);
    updateUser(truth, user.id, { [property]: value });
    return `${nameOf(user)}: ${property} is "${value}"`;
  };
}

function propertyOf(name: string | undefined): string {
  if (name !== undefined && isKnownProperty('users', name) && name !== 'id' && name !== 'manager') return name;
  throw new Error(`'${name ?? ''}' is not a property of users.`);
}

function set(truth: Truth, [who, name, ...rest]: string[]): string {
  const user = person(truth, who);
  const property = propertyOf(name);
  const text = textOf(rest, 'value');
  const isBoolean = typeof user.properties[property] === 'boolean';
  if (isBoolean && text !== 'true' && text !== 'false') throw new Error(`${property} is true or false.`);
  const value = schemas.users.collections.has(property) ? [text] : isBoolean ? text === 'true' : text;
  updateUser(truth, user.id, { [property]: value });
  return `${nameOf(user)}: ${property} is ${JSON.stringify(value)}`;
}

function clear(truth: Truth, [who, name]: string[]): string {
  const user = person(truth, who);
  const property = propertyOf(name);
  if (property === 'userPrincipalName') throw new Error('A user needs a userPrincipalName.');
  updateUser(truth, user.id, { [property]: null });
  return `${nameOf(user)}: ${property} is cleared`;
}

/** A word with an at sign is a new principal name and mail address, anything else a new display name. */
function rename(truth: Truth, [who, ...rest]: string[]): string {
  const user = person(truth, who);
  const before = nameOf(user);
  const name = textOf(rest, 'name');
  const isPrincipal = /^\S+@\S+$/.test(name);
  updateUser(
    truth,
    user.id,
    isPrincipal ? { userPrincipalName: name, mail: name, proxyAddresses: [`SMTP:${name}`] } : { displayName: name },
  );
  return `${before} is called ${isPrincipal ? name : `"${name}"`}`;
}

function hire(truth: Truth, [principal = '', ...rest]: string[]): string {
  if (!isAddress(principal)) throw new Error(`'${principal}' is not a principal name such as ann@${truth.domain}.`);
  const displayName = rest.join(' ').trim();
  const user = createUser(truth, { userPrincipalName: principal, ...(displayName !== '' && { displayName }) });
  return `hired ${nameOf(user)}`;
}

function adding(kind: Kind): NamedEdit['act'] {
  return (truth, [address = '', ...rest]) => {
    if (!isAddress(address)) throw new Error(`'${address}' is not an address such as ${kind}@partner.example.`);
    const name = rest.join(' ').trim();
    return `added ${nameOf(createKind(truth, kind, address, name === '' ? undefined : name))}`;
  };
}

function licence(has: boolean): NamedEdit['act'] {
  return (truth, [who, ...rest]) => {
    const user = person(truth, who);
    const skuId = textOf(rest, 'licence');
    setLicence(truth, user, skuId, has);
    return `${nameOf(user)} has ${has ? '' : 'no longer '}the licence ${skuId}`;
  };
}

function moveDomain(truth: Truth, [before = '', after = '', ...rest]: string[]): string {
  if (!isDomain(before) || !isDomain(after) || rest.length > 0)
    throw new Error(`Two domains are wanted, as in 'rename-domain ${truth.domain} new.example'.`);
  return `${users(renameDomain(truth, before, after))} moved from ${before} to ${after}`;
}

function clearAll(truth: Truth, [name = '', ...rest]: string[]): string {
  if (rest.length > 0) throw new Error(`'${rest.join(' ')}' is too much.`);
  return `${name} is cleared for ${users(clearEverywhere(truth, name))}`;
}

const isAddress = (text: string) => /^[^\s@]+@[^\s@]+$/.test(text);
const isDomain = (text: string) => /^[\w-]+(\.[\w-]+)+$/.test(text);
const users = (count: number) => `${count} ${count === 1 ? 'user' : 'users'}`;

function changing(
  says: string,
  change: (truth: Truth, id: string) => void,
  states: readonly State[] = ['live'],
): NamedEdit['act'] {
  return (truth, [who, ...rest]) => {
    if (rest.length > 0) throw new Error(`'${rest.join(' ')}' is too much; a name with blanks stands in quotes.`);
    const user = person(truth, who, states);
    const name = nameOf(user);
    change(truth, user.id);
    return `${says} ${name}`;
  };
}

function joining(says: string, change: (truth: Truth, groupId: string, id: string) => void): NamedEdit['act'] {
  return (truth, [who, ...rest]) => {
    const user = person(truth, who);
    const group = groupOf(truth, textOf(rest, 'group'));
    change(truth, group.id, user.id);
    return `${nameOf(user)} ${says} ${String(group.properties.displayName)}`;
  };
}

/** `none` clears the manager. */
function manager(truth: Truth, [who, ...rest]: string[]): string {
  const user = person(truth, who);
  const word = textOf(rest, 'manager (a user, or none)');
  const chosen = word === 'none' ? undefined : person(truth, word);
  updateUser(truth, user.id, { manager: chosen?.id ?? null });
  return chosen ? `${nameOf(user)}: the manager is ${nameOf(chosen)}` : `${nameOf(user)} has no manager`;
}

function renameGroup(truth: Truth, [which, ...rest]: string[]): string {
  const group = groupOf(truth, which);
  const [before, name] = [String(group.properties.displayName), textOf(rest, 'name')];
  updateGroup(truth, group.id, { displayName: name });
  return `the group ${before} is called "${name}"`;
}

function changingGroup(
  says: string,
  change: (truth: Truth, id: string) => void,
  states: readonly State[] = ['live'],
): NamedEdit['act'] {
  return (truth, words) => {
    const group = groupOf(truth, textOf(words, 'group'), states);
    change(truth, group.id);
    const forGood = group.state === 'hard' ? ' for good' : '';
    return `${says} the group ${String(group.properties.displayName)}${forGood}`;
  };
}

const remove = changing('deleted', deleteUser);

/** The edits by name. Those with a number in place of a name, as `title 5`, choose by chance (script.ts). */
export const namedEdits: Readonly<Record<string, NamedEdit>> = {
  hire: { form: 'UPN [DISPLAY NAME]', says: 'adds a user', act: hire },
  title: { form: 'USER TITLE', says: 'gives a job title', act: setter('jobTitle', 'title') },
  department: { form: 'USER DEPARTMENT', says: 'moves to a department', act: setter('department', 'department') },
  manager: { form: 'USER MANAGER or none', says: 'gives a manager, or takes the manager away', act: manager },
  set: { form: 'USER PROPERTY VALUE', says: 'sets any property', act: set },
  clear: { form: 'USER PROPERTY', says: 'clears a property', act: clear },
  rename: { form: 'USER NAME or UPN', says: 'changes the display name, or the principal name and mail', act: rename },
  disable: {
    form: 'USER',
    says: 'disables',
    act: changing('disabled', (truth, id) => updateUser(truth, id, { accountEnabled: false })),
  },
  enable: {
    form: 'USER',
    says: 'enables',
    act: changing('enabled', (truth, id) => updateUser(truth, id, { accountEnabled: true })),
  },
  remove: { form: 'USER', says: 'deletes; restorable', act: remove },
  delete: { form: 'USER', says: 'the same', act: remove },
  restore: { form: 'USER', says: 'restores a deleted user', act: changing('restored', restoreUser, ['soft']) },
  purge: { form: 'USER', says: 'deletes for good', act: changing('permanently deleted', purgeUser, ['soft', 'live']) },
  join: { form: 'USER GROUP', says: 'adds to a group', act: joining('is in', addMember) },
  leave: { form: 'USER GROUP', says: 'takes out of a group', act: joining('is no longer in', removeMember) },
  agent: { form: 'UPN [DISPLAY NAME]', says: "adds an AI agent's user", act: adding('agent') },
  guest: { form: 'MAIL [DISPLAY NAME]', says: 'invites a guest of another tenant', act: adding('guest') },
  external: { form: 'MAIL [DISPLAY NAME]', says: 'invites a member of another tenant', act: adding('external') },
  mailbox: { form: 'UPN [DISPLAY NAME]', says: 'adds a shared mailbox', act: adding('mailbox') },
  room: { form: 'UPN [DISPLAY NAME]', says: 'adds a room', act: adding('room') },
  license: { form: 'USER SKU', says: 'assigns a licence', act: licence(true) },
  unlicense: { form: 'USER SKU', says: 'takes a licence away', act: licence(false) },
  'rename-domain': { form: 'OLD NEW', says: 'moves every address of a domain to another', act: moveDomain },
  'clear-all': { form: 'PROPERTY', says: 'clears a property of every user', act: clearAll },
  'rename-group': { form: 'GROUP NAME', says: 'changes the name of a group', act: renameGroup },
  'remove-group': {
    form: 'GROUP',
    says: 'deletes a group; restorable if it is a Microsoft 365 or a cloud security group',
    act: changingGroup('deleted', deleteGroup),
  },
  'restore-group': {
    form: 'GROUP',
    says: 'restores a deleted group',
    act: changingGroup('restored', restoreGroup, ['soft']),
  },
  'purge-group': {
    form: 'GROUP',
    says: 'deletes a group for good',
    act: changingGroup('deleted', purgeGroup, ['soft', 'live']),
  },
};

/** Splits a line at blanks; quotes keep a name with blanks together. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}
