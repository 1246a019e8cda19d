// The properties that Graph knows on users and groups, those that delta cannot track, and the defaults without $select.

export type StreamName = 'users' | 'groups';

type Schema = {
  /** The name in messages: microsoft.graph.user. */
  type: string;
  known: ReadonlySet<string>;
  /** Kept outside the directory: delta refuses them in $select (Graph: "Use delta query", limitations). */
  untracked: ReadonlySet<string>;
  /** The properties that come without $select. */
  standard: readonly string[];
  /** Collections; they are empty, never null. */
  collections: ReadonlySet<string>;
  /** Links to other objects that $select in delta accepts. */
  links: ReadonlySet<string>;
};

const words = (text: string) => text.trim().split(/\s+/);

const userUntracked = words(`aboutMe birthday cloudLicensing deviceEnrollmentLimit hireDate interests mailboxSettings
  mySite pastProjects preferredName print responsibilities schools signInActivity skills`);

const groupUntracked = words(`accessType allowExternalSenders autoSubscribeNewMembers cloudLicensing
  hideFromAddressLists hideFromOutlookClients isArchived isFavorite isSubscribedByMail
  membershipRuleProcessingStatus unseenConversationsCount unseenCount unseenMessagesCount`);

const user: Schema = {
  type: 'microsoft.graph.user',
  untracked: new Set(userUntracked),
  standard: words(`businessPhones displayName givenName jobTitle mail mobilePhone officeLocation preferredLanguage
    surname userPrincipalName`),
  collections: new Set(
    words(`assignedLicenses assignedPlans businessPhones identities imAddresses otherMails provisionedPlans
      proxyAddresses`),
  ),
  links: new Set(['manager']),
  known: new Set([
    ...userUntracked,
    ...words(`id deletedDateTime accountEnabled ageGroup assignedLicenses assignedPlans authorizationInfo
      businessPhones city companyName consentProvidedForMinor country createdDateTime creationType
      customSecurityAttributes department displayName employeeHireDate employeeId employeeLeaveDateTime
      employeeOrgData employeeType externalUserState externalUserStateChangeDateTime faxNumber givenName identities
      identityParentId imAddresses isManagementRestricted isResourceAccount jobTitle lastPasswordChangeDateTime
      legalAgeGroupClassification licenseAssignmentStates mail mailNickname manager mobilePhone officeLocation
      onPremisesDistinguishedName onPremisesDomainName onPremisesExtensionAttributes onPremisesImmutableId
      onPremisesLastSyncDateTime onPremisesProvisioningErrors onPremisesSamAccountName onPremisesSecurityIdentifier
      onPremisesSyncEnabled onPremisesUserPrincipalName otherMails passwordPolicies passwordProfile postalCode
      preferredDataLocation preferredLanguage provisionedPlans proxyAddresses securityIdentifier
      serviceProvisioningErrors showInAddressList signInSessionsValidFromDateTime state streetAddress surname
      usageLocation userPrincipalName userType`),
  ]),
};

const group: Schema = {
  type: 'microsoft.graph.group',
  untracked: new Set(groupUntracked),
  standard: words(`createdDateTime description displayName groupTypes mail mailEnabled mailNickname membershipRule
    membershipRuleProcessingState preferredLanguage proxyAddresses renewedDateTime resourceProvisioningOptions
    securityEnabled securityIdentifier theme visibility onPremisesSyncEnabled onPremisesSamAccountName`),
  collections: new Set(words('assignedLabels assignedLicenses groupTypes proxyAddresses resourceProvisioningOptions')),
  links: new Set(['members']),
  known: new Set([
    ...groupUntracked,
    ...words(`id deletedDateTime assignedLabels assignedLicenses classification createdDateTime description
      displayName expirationDateTime groupTypes hasMembersWithLicenseErrors infoCatalogs isAssignableToRole
      isManagementRestricted licenseProcessingState mail mailEnabled mailNickname members membershipRule
      membershipRuleProcessingState onPremisesDomainName onPremisesLastSyncDateTime onPremisesNetBiosName
      onPremisesProvisioningErrors onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesSyncEnabled
      preferredDataLocation preferredLanguage proxyAddresses renewedDateTime resourceBehaviorOptions
      resourceProvisioningOptions securityEnabled securityIdentifier serviceProvisioningErrors theme uniqueName
      visibility writebackConfiguration`),
  ]),
};

export const schemas: Readonly<Record<StreamName, Schema>> = { users: user, groups: group };

/** Whether Graph has this property on the stream's objects; directory extensions (extension_<app>_<name>) count. */
export function isKnownProperty(stream: StreamName, name: string): boolean {
  return schemas[stream].known.has(name) || /^extension_[0-9a-f]{32}_\w+$/.test(name);
}
