// The properties of a Graph v1.0 user that a field mapping may name, and whether users/delta can track each. Source:
// learn.microsoft.com/graph/api/resources/user (Properties, Relationships) and docs/graph.md, "First URL and $select".

/** The JSON type in which Graph sends a property. Dates and times (ISO 8601, UTC) and enumerations are strings. */
export type PropertyType = 'string' | 'boolean' | 'number' | 'string[]' | 'object' | 'object[]' | 'any';

/**
 * Maximum lengths in characters of indexed properties: an index entry holds at most 2,704 bytes. Graph's own limits are
 * 113 (userPrincipalName) and 256 (mail). The editing functions have the same limits.
 */
export const longestOf: ReadonlyMap<string, number> = new Map([
  ['userPrincipalName', 320],
  ['mail', 320],
]);

/** One property of a user; `why` completes the sentence "… cannot be synced by delta: …". */
export type UserProperty =
  | { readonly type: PropertyType; readonly trackable: true }
  | { readonly type: PropertyType; readonly trackable: false; readonly why: string };

const elsewhere = 'Graph keeps it outside Entra ID, so a delta query refuses it';
const link = 'it is a link to other objects, not a value of the user';
const ownPermission = (permission: string): string =>
  `reading it needs the permission ${permission}, and its use in a delta query is not documented`;

const tracked = (type: PropertyType): UserProperty => ({ type, trackable: true });
const untracked = (type: PropertyType, why: string): UserProperty => ({ type, trackable: false, why });

const properties: Record<string, UserProperty> = {
  aboutMe: untracked('string', elsewhere),
  accountEnabled: tracked('boolean'),
  ageGroup: tracked('string'),
  assignedLicenses: tracked('object[]'),
  assignedPlans: tracked('object[]'),
  authorizationInfo: untracked(
    'object',
    'it holds sign-in certificates, and its use in a delta query is not documented',
  ),
  birthday: untracked('string', elsewhere),
  businessPhones: tracked('string[]'),
  city: tracked('string'),
  cloudLicensing: untracked('object', elsewhere),
  companyName: tracked('string'),
  consentProvidedForMinor: tracked('string'),
  country: tracked('string'),
  createdDateTime: tracked('string'),
  creationType: tracked('string'),
  customSecurityAttributes: untracked('object', ownPermission('CustomSecAttributeAssignment.Read.All')),
  deletedDateTime: untracked('string', 'a removed user comes with its id alone, so this is never sent'),
  department: tracked('string'),
  deviceEnrollmentLimit: untracked('number', elsewhere),
  displayName: tracked('string'),
  employeeHireDate: tracked('string'),
  employeeId: tracked('string'),
  employeeLeaveDateTime: untracked('string', ownPermission('User-LifeCycleInfo.Read.All')),
  employeeOrgData: tracked('object'),
  employeeType: tracked('string'),
  externalUserState: tracked('string'),
  externalUserStateChangeDateTime: tracked('string'),
  faxNumber: tracked('string'),
  givenName: tracked('string'),
  hireDate: untracked('string', `${elsewhere}; Entra ID keeps employeeHireDate`),
  id: tracked('string'),
  identities: tracked('object[]'),
  identityParentId: untracked('string', 'only agent users have it, and its use in a delta query is not documented'),
  imAddresses: tracked('string[]'),
  interests: untracked('string[]', elsewhere),
  isManagementRestricted: tracked('boolean'),
  isResourceAccount: tracked('boolean'),
  jobTitle: tracked('string'),
  lastPasswordChangeDateTime: tracked('string'),
  legalAgeGroupClassification: tracked('string'),
  licenseAssignmentStates: untracked('object[]', 'a delta query accepts it, but does not report its changes'),
  mail: tracked('string'),
  mailboxSettings: untracked('object', elsewhere),
  mailNickname: tracked('string'),
  mobilePhone: tracked('string'),
  mySite: untracked('string', elsewhere),
  officeLocation: tracked('string'),
  onPremisesDistinguishedName: tracked('string'),
  onPremisesDomainName: tracked('string'),
  onPremisesExtensionAttributes: tracked('object'),
  onPremisesImmutableId: tracked('string'),
  onPremisesLastSyncDateTime: tracked('string'),
  onPremisesProvisioningErrors: tracked('object[]'),
  onPremisesSamAccountName: tracked('string'),
  onPremisesSecurityIdentifier: tracked('string'),
  onPremisesSyncEnabled: tracked('boolean'),
  onPremisesUserPrincipalName: tracked('string'),
  otherMails: tracked('string[]'),
  passwordPolicies: tracked('string'),
  passwordProfile: untracked('object', 'it holds sign-in secrets, which are not copied'),
  pastProjects: untracked('string[]', elsewhere),
  postalCode: tracked('string'),
  preferredDataLocation: tracked('string'),
  preferredLanguage: tracked('string'),
  preferredName: untracked('string', elsewhere),
  print: untracked('object', elsewhere),
  provisionedPlans: tracked('object[]'),
  proxyAddresses: tracked('string[]'),
  refreshTokensValidFromDateTime: untracked(
    'string',
    'it is the former name of signInSessionsValidFromDateTime, and v1.0 clients no longer know it',
  ),
  responsibilities: untracked('string[]', elsewhere),
  schools: untracked('string[]', elsewhere),
  securityIdentifier: tracked('string'),
  serviceProvisioningErrors: tracked('object[]'),
  showInAddressList: tracked('boolean'),
  signInActivity: untracked('object', elsewhere),
  signInSessionsValidFromDateTime: tracked('string'),
  skills: untracked('string[]', elsewhere),
  state: tracked('string'),
  streetAddress: tracked('string'),
  surname: tracked('string'),
  usageLocation: tracked('string'),
  userPrincipalName: tracked('string'),
  userType: tracked('string'),

  // Navigation properties: listed so that the refusal has a reason other than "no such property".
  activities: untracked('object[]', link),
  adhocCalls: untracked('object[]', link),
  agreementAcceptances: untracked('object[]', link),
  appRoleAssignments: untracked('object[]', link),
  authentication: untracked('object', link),
  calendar: untracked('object', link),
  calendarGroups: untracked('object[]', link),
  calendars: untracked('object[]', link),
  calendarView: untracked('object[]', link),
  chats: untracked('object[]', link),
  cloudClipboard: untracked('object', link),
  cloudPCs: untracked('object[]', link),
  contactFolders: untracked('object[]', link),
  contacts: untracked('object[]', link),
  createdObjects: untracked('object[]', link),
  dataSecurityAndGovernance: untracked('object', link),
  deviceManagementTroubleshootingEvents: untracked('object[]', link),
  directReports: untracked('object[]', link),
  drive: untracked('object', link),
  drives: untracked('object[]', link),
  employeeExperience: untracked('object', link),
  events: untracked('object[]', link),
  extensions: untracked('object[]', 'open extensions are not tracked by a delta query'),
  followedSites: untracked('object[]', link),
  inferenceClassification: untracked('object', link),
  insights: untracked('object', link),
  joinedTeams: untracked('object[]', link),
  licenseDetails: untracked('object[]', link),
  mailFolders: untracked('object[]', link),
  managedAppRegistrations: untracked('object[]', link),
  managedDevices: untracked('object[]', link),
  manager: untracked('object', `${link}: a delta query reports its id separately, as manager@delta`),
  memberOf: untracked('object[]', `${link}: memberships come with the groups`),
  messages: untracked('object[]', link),
  oauth2PermissionGrants: untracked('object[]', link),
  onenote: untracked('object', link),
  onlineMeetings: untracked('object[]', link),
  outlook: untracked('object', link),
  ownedDevices: untracked('object[]', link),
  ownedObjects: untracked('object[]', link),
  people: untracked('object[]', link),
  permissionGrants: untracked('object[]', link),
  photo: untracked('object', 'it is kept outside the user, and no delta query reports its changes'),
  photos: untracked('object[]', 'they are kept outside the user, and no delta query reports their changes'),
  planner: untracked('object', link),
  presence: untracked('object', link),
  registeredDevices: untracked('object[]', link),
  scopedRoleMemberOf: untracked('object[]', link),
  settings: untracked('object', link),
  solutions: untracked('object', link),
  sponsors: untracked('object[]', link),
  teamwork: untracked('object', link),
  todo: untracked('object', link),
  transitiveMemberOf: untracked('object[]', `${link}: memberships come with the groups`),
};

/**
 * Every property of microsoft.graph.user in v1.0. The record has no prototype, so "constructor" is not a key. Directory
 * extensions differ by tenant; {@link propertyOf} knows them.
 */
export const userProperties: Readonly<Record<string, UserProperty>> = Object.freeze(
  Object.assign(Object.create(null) as Record<string, UserProperty>, properties),
);

/** Returns a property of the user, directory extensions included; undefined if there is none of this name. */
export function propertyOf(name: string): UserProperty | undefined {
  // Only its application knows the type of a directory extension.
  return userProperties[name] ?? (/^extension_[0-9a-f]{32}_\w{1,150}$/i.test(name) ? tracked('any') : undefined);
}

/**
 * Returns the name in `known` nearest to `name`: one that differs by case alone, else the one with the fewest typing
 * errors, up to a third of the longer name. The first of equals wins. Returns undefined if none is near.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  let nearest: { name: string; errors: number } | undefined;
  for (const candidate of known) {
    const lower = candidate.toLowerCase();
    const limit = Math.floor(Math.max(wanted.length, lower.length) / 3);
    // Skips long names: there are at least as many errors as the lengths differ by.
    if (Math.abs(wanted.length - lower.length) > limit) continue;
    const errors = typingErrors(wanted, lower);
    if (errors <= limit && errors < (nearest?.errors ?? Number.POSITIVE_INFINITY))
      nearest = { name: candidate, errors };
  }
  return nearest?.name;
}

/** Levenshtein distance with a swap of two neighbours counted as one error, row by row. */
function typingErrors(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let least = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) least = Math.min(least, at(beforeLast, column - 2) + 1);
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
