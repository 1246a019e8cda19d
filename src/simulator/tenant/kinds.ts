// Users that are no people of the tenant, licences, and edits that reach every user.
import { uniqueNickname } from './people.ts';
import { isKnownProperty, schemas } from './properties.ts';
import { type Entity, liveOf, type Properties, type Truth } from './truth.ts';
import { createUser, updateUser } from './user-edits.ts';

/** The kinds of users that a directory holds beside its people. */
export const kinds = ['agent', 'guest', 'external', 'mailbox', 'room'] as const;
export type Kind = (typeof kinds)[number];

// A made-up person has these; none of these kinds does.
const personal = {
  businessPhones: null,
  city: null,
  country: null,
  department: null,
  employeeId: null,
  faxNumber: null,
  givenName: null,
  jobTitle: null,
  mobilePhone: null,
  officeLocation: null,
  onPremisesExtensionAttributes: null,
  otherMails: null,
  postalCode: null,
  state: null,
  streetAddress: null,
  surname: null,
};

const titles: Readonly<Record<Kind, string>> = {
  agent: 'Assistant',
  guest: 'Partner',
  external: 'Colleague',
  mailbox: 'Info',
  room: 'Meeting Room',
};

/** Whether Graph sends the user as microsoft.graph.agentUser, which alone has identityParentId. */
export function isAgent({ properties }: { properties: Properties }): boolean {
  return properties.identityParentId !== undefined;
}

/** Adds a user of a kind. `address`: its mail address, which of a guest or external member is that of the home tenant. */
export function createKind(truth: Truth, kind: Kind, address?: string, displayName?: string): Entity {
  const isForeign = kind === 'guest' || kind === 'external';
  const number = truth.users.order.length;
  const mail =
    address ?? `${uniqueNickname(truth, `${kind}${number}`)}@${isForeign ? 'partner.example' : truth.domain}`;
  const common = { displayName: displayName ?? `${titles[kind]} ${number}`, mail };
  return createUser(truth, {
    ...common,
    ...(isForeign ? foreign(truth, kind, mail) : { ...own[kind](truth), userPrincipalName: mail }),
  });
}

const own = {
  agent: (truth: Truth) => ({ ...personal, identityParentId: truth.random.guid(), userType: 'Member' }),
  // Exchange disables the user of a shared mailbox or room, who has a mail address and no licence.
  mailbox: () => ({ ...personal, accountEnabled: false, userType: 'Member' }),
  room: () => ({ ...personal, accountEnabled: false, isResourceAccount: true, userType: 'Member' }),
};

function foreign(truth: Truth, kind: 'guest' | 'external', mail: string): Properties {
  return {
    ...personal,
    userPrincipalName: `${mail.replace('@', '_')}#EXT#@${truth.domain}`,
    userType: kind === 'guest' ? 'Guest' : 'Member',
    accountEnabled: true,
    creationType: 'Invitation',
    externalUserState: 'Accepted',
  };
}

/** Gives a user a licence, or takes it away. */
export function setLicence(truth: Truth, { id, properties }: Entity, skuId: string, has: boolean): void {
  const licences = Array.isArray(properties.assignedLicenses) ? properties.assignedLicenses : [];
  const others = licences.filter((one: { skuId?: unknown }) => one.skuId !== skuId);
  updateUser(truth, id, { assignedLicenses: has ? [...others, { disabledPlans: [], skuId }] : others });
}

/** Gives every address of a domain another one, as after a rename of the company. Returns how many users changed. */
export function renameDomain(truth: Truth, before: string, after: string): number {
  const ending = `@${before.toLowerCase()}`;
  const moved = (text: unknown) =>
    typeof text === 'string' && text.toLowerCase().endsWith(ending)
      ? `${text.slice(0, -ending.length)}@${after}`
      : text;
  const users = liveOf(truth.users).filter(({ properties: { userPrincipalName, mail } }) =>
    [userPrincipalName, mail].some((text) => moved(text) !== text),
  );
  for (const { id, properties } of users) {
    const { userPrincipalName, mail, proxyAddresses } = properties;
    updateUser(truth, id, {
      userPrincipalName: moved(userPrincipalName),
      ...(mail !== undefined && { mail: moved(mail) }),
      ...(Array.isArray(proxyAddresses) && { proxyAddresses: proxyAddresses.map(moved) }),
    });
  }
  if (truth.domain === before.toLowerCase()) truth.domain = after.toLowerCase();
  return users.length;
}

/** Clears a property of every user who has it. Returns how many users changed. */
export function clearEverywhere(truth: Truth, property: string): number {
  if (!isKnownProperty('users', property) || property === 'userPrincipalName' || property === 'id')
    throw new Error(`'${property}' is not a property of users that can be cleared.`);
  const isList = schemas.users.collections.has(property);
  const users = liveOf(truth.users).filter(({ properties: { [property]: value } }) =>
    isList ? Array.isArray(value) && value.length > 0 : value !== undefined,
  );
  for (const { id } of users) updateUser(truth, id, { [property]: null });
  return users.length;
}
