// The application registration that entra-sync needs, as properties of Microsoft Graph's application resource, and the
// commands that make it so. Pure: the verb `register` prints what is made here.
import { shellWord } from './shell.ts';

/** The application roles of the vendor's people. The ids are fixed, so that running the commands again changes nothing. */
export const opsRoles = [
  { id: '81fd6596-b083-4433-9667-8b170210fb5c', value: 'Ops.Read', says: 'sees every tenant in the console' },
  { id: 'e787fe69-36fa-4c15-a10a-83be43f32b23', value: 'Ops.Act', says: 'sees every tenant in the console, and acts' },
] as const;

// learn.microsoft.com/graph/permissions-reference
const graphApplication = '00000003-0000-0000-c000-000000000000';
const permissions = {
  'User.Read.All': { id: 'df021288-bdef-4463-88db-98f22de89214', type: 'Role' },
  'GroupMember.Read.All': { id: '98830695-27a2-44f7-8c18-0c3ebc9698f6', type: 'Role' },
  openid: { id: '37f7f235-527c-4136-accd-4a02d197296e', type: 'Scope' },
  profile: { id: '14dad69e-099b-42c9-810b-d002981feec1', type: 'Scope' },
} as const;

export type Registration = {
  readonly name: string;
  /** Whether it reads directories, and whether people sign in to the web with it. */
  readonly reads: boolean;
  readonly signsIn: boolean;
};

/** Returns one registration for all, or one that reads directories and one that people sign in to. */
export function registrationsOf(name: string, two: boolean): readonly Registration[] {
  if (!two) return [{ name, reads: true, signsIn: true }];
  return [
    { name, reads: true, signsIn: false },
    { name: `${name} sign-in`, reads: false, signsIn: true },
  ];
}

/** Returns the properties of a registration below a public address without a trailing slash. */
export function propertiesOf({ reads, signsIn }: Registration, publicUrl: string): Readonly<Record<string, unknown>> {
  // People sign in to the consent page with the registration that reads. An administrator's consent covers their
  // sign-in only where it is declared.
  const declared = [
    ...(reads ? (['User.Read.All', 'GroupMember.Read.All'] as const) : []),
    'openid',
    'profile',
  ] as const;
  return {
    signInAudience: 'AzureADMultipleOrgs',
    web: {
      redirectUris: [...(reads ? [`${publicUrl}/callback`] : []), ...(signsIn ? [`${publicUrl}/entered`] : [])],
      implicitGrantSettings: { enableIdTokenIssuance: false, enableAccessTokenIssuance: false },
    },
    requiredResourceAccess: [
      { resourceAppId: graphApplication, resourceAccess: declared.map((permission) => permissions[permission]) },
    ],
    groupMembershipClaims: 'DirectoryRole',
    // Tells guests from members.
    optionalClaims: {
      idToken: [{ name: 'acct', source: null, essential: false, additionalProperties: [] }],
      accessToken: [],
      saml2Token: [],
    },
    // Without the lock an administrator of any tenant can add a credential to the application there.
    servicePrincipalLockConfiguration: { isEnabled: true, allProperties: true },
    ...(signsIn && {
      appRoles: opsRoles.map(({ id, value, says }) => ({
        ...{ id, value, displayName: value, description: `A person of the vendor who ${says}` },
        ...{ allowedMemberTypes: ['User'], isEnabled: true },
      })),
    }),
  };
}

/**
 * Returns a script for a POSIX shell with the Azure CLI. It makes what is missing, sets what differs, and may run again:
 * a secret is made once.
 */
export function registrationScript(name: string, two: boolean, publicUrl: string): string {
  const [first, second] = registrationsOf(name, two);
  const signsIn = second ? 'signs_in' : 'reads';
  const bodyOf = (one: Registration) => shellWord(JSON.stringify(propertiesOf(one, publicUrl), null, 2));
  const [, act] = opsRoles;
  return `#!/bin/sh
# Registers ${second ? 'two applications' : 'one application'} in the tenant of "az login", and prints the environment for entra-sync.
# Needs the role Application Administrator or Cloud Application Administrator. It may run again: then it sets the
# redirect addresses, permissions and roles below anew, and takes away others that were added by hand.
set -eu

graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
graph=\${graph%/}
home=$(az account show --query tenantId --output tsv)

# What was made a moment ago is not known everywhere at once.
patiently() {
  for _ in 1 2 3 4 5 6; do
    if "$@"; then return 0; fi
    sleep 5
  done
  return 1
}

# Not every shell ends a function here where a command in it fails, so each says so itself.

# registered NAME PROPERTIES: prints the client id
registered() {
  app=$(az ad app list --filter "displayName eq '$1'" --query '[].appId' --output tsv) || return 1
  case $app in
    *[[:space:]]*) echo "more than one registration is called $1: rename one" >&2; return 1 ;;
    '') app=$(az ad app create --display-name "$1" --sign-in-audience AzureADMultipleOrgs --query appId --output tsv) || return 1 ;;
  esac
  patiently az rest --method PATCH --uri "$graph/v1.0/applications(appId='$app')" \\
    --headers Content-Type=application/json --body "$2" --output none || return 1
  if ! az ad sp show --id "$app" --output none 2> /dev/null; then
    patiently az ad sp create --id "$app" --output none || return 1
  fi
  echo "$app"
}

# secret_of APP: prints a new secret, or nothing where there is one already
secret_of() {
  held=$(az ad app credential list --id "$1" --query "length([?displayName=='entra-sync'])" --output tsv) || return 1
  if [ "$held" = 0 ]; then
    az ad app credential reset --id "$1" --append --display-name entra-sync --years 1 --query password --output tsv
  fi
}

# told VARIABLE SECRET
told() {
  if [ -n "$2" ]; then echo "export $1='$2'"; else echo "# $1: as before; a secret is shown once"; fi
}

reads=$(registered ${shellWord(first?.name ?? name)} ${first ? bodyOf(first) : "''"})
${second ? `\nsigns_in=$(registered ${shellWord(second.name)} ${bodyOf(second)})\n` : ''}
# You become one who acts in the console (application role ${act.value}).
me=$(az ad signed-in-user show --query id --output tsv)
principal=$(az ad sp show --id "$${signsIn}" --query id --output tsv)
has=$(az rest --method GET --uri "$graph/v1.0/servicePrincipals/$principal/appRoleAssignedTo" \\
  --query "length(value[?principalId=='$me' && appRoleId=='${act.id}'])" --output tsv)
if [ "$has" = 0 ]; then
  patiently az rest --method POST --uri "$graph/v1.0/servicePrincipals/$principal/appRoleAssignedTo" \\
    --headers Content-Type=application/json --output none \\
    --body "{\\"principalId\\":\\"$me\\",\\"resourceId\\":\\"$principal\\",\\"appRoleId\\":\\"${act.id}\\"}"
fi

echo "export AZURE_CLIENT_ID='$reads'"
secret=$(secret_of "$reads")
told AZURE_CLIENT_SECRET "$secret"
${
  second
    ? `echo "export ENTRA_SYNC_SIGN_IN_CLIENT_ID='$signs_in'"
secret=$(secret_of "$signs_in")
told ENTRA_SYNC_SIGN_IN_CLIENT_SECRET "$secret"
`
    : ''
}echo "export ENTRA_SYNC_OPS_TENANT='$home'"
echo ${shellWord(`export ENTRA_SYNC_PUBLIC_URL=${shellWord(publicUrl)}`)}
`;
}
