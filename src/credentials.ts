// Reads the credential that the environment or a tenant's settings name, again each time: secrets change without a
// restart.
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { readSecret, readSecretFile, unreadableCure } from './environment.ts';
import { ExpectedError } from './errors.ts';
import type { AppCredential } from './graph/app-credential.ts';
import type { CredentialReference, SecretReference } from './settings/settings.ts';

const ways =
  'AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE, ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID)';

/** The variables of @azure/identity in the order in which it tries them, and one of our own. */
const names = [
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_SECRET_FILE',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
  'ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID',
] as const;

/** Whether the environment names a credential, complete or not. */
export function namesCredential(variables: NodeJS.ProcessEnv): boolean {
  return names.some((name) => variables[name]);
}

/** Whether AZURE_TENANT_ID can be the tenant to sync. Beside a federated token it is the vendor's. */
export function ownsTenantId(variables: NodeJS.ProcessEnv): boolean {
  if (!namesCredential(variables)) return true;
  const { kind } = readCredential(variables);
  return kind === 'secret' || kind === 'certificate';
}

/**
 * Reads the application's credential: a secret, else a certificate, else a federated token, else a managed identity.
 * Throws `usage` that names each missing or unreadable part.
 */
export function readCredential(variables: NodeJS.ProcessEnv): AppCredential {
  const clientId = variables.AZURE_CLIENT_ID;
  const secret = readSecret(variables, 'AZURE_CLIENT_SECRET');
  const path = variables.AZURE_CLIENT_CERTIFICATE_PATH || undefined;
  const tokenFile = variables.AZURE_FEDERATED_TOKEN_FILE || undefined;
  const identity = variables.ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID || undefined;
  const missing = [
    ...(clientId ? [] : ['AZURE_CLIENT_ID']),
    ...(secret || path || tokenFile || identity ? [] : [ways]),
  ];
  if (!clientId || missing.length > 0) {
    throw new ExpectedError('usage', `no credential for Microsoft Graph: ${missing.join(' and ')} not set`, {
      cure: 'set it (README, "Connect a real tenant"), or try entra-sync demo, which needs none',
    });
  }
  if (secret !== undefined) {
    const holder = variables.AZURE_CLIENT_SECRET ? 'AZURE_CLIENT_SECRET' : 'the file of AZURE_CLIENT_SECRET_FILE';
    return { kind: 'secret', clientId, holder, secret };
  }
  if (path !== undefined) {
    const holder = 'AZURE_CLIENT_CERTIFICATE_PATH';
    requireReadable(path, (cause) => unreadable(holder, path, cause));
    const password = readSecret(variables, 'AZURE_CLIENT_CERTIFICATE_PASSWORD');
    return { kind: 'certificate', clientId, holder, path, ...(password !== undefined && { password }) };
  }
  if (tokenFile !== undefined) {
    const holder = 'AZURE_FEDERATED_TOKEN_FILE';
    const assertion = readText(tokenFile, (cause) => unreadable(holder, tokenFile, cause));
    if (!assertion) throw new ExpectedError('usage', `${holder} is empty: ${tokenFile}`, { cure: emptyToken });
    return { kind: 'federated', clientId, holder, assertion };
  }
  return { kind: 'managed_identity', clientId, holder: names[5], identity: identity ?? '' };
}

/** Whether the environment names anything of the web's sign-in. */
export function namesSignIn(variables: NodeJS.ProcessEnv): boolean {
  return Boolean(variables.ENTRA_SYNC_SIGN_IN_CLIENT_ID || variables.ENTRA_SYNC_OPS_TENANT);
}

/**
 * Reads the credential that people sign in to: that of ENTRA_SYNC_SIGN_IN_CLIENT_ID, a registration that reads no
 * directory, else the application's own. Throws `usage` that names what is missing.
 */
export function readSignInCredential(variables: NodeJS.ProcessEnv): AppCredential {
  const clientId = variables.ENTRA_SYNC_SIGN_IN_CLIENT_ID || undefined;
  const secret = readSecret(variables, 'ENTRA_SYNC_SIGN_IN_CLIENT_SECRET');
  const path = variables.ENTRA_SYNC_SIGN_IN_CLIENT_CERTIFICATE_PATH || undefined;
  if (clientId === undefined) {
    if (secret === undefined && path === undefined) return readCredential(variables);
    throw new ExpectedError('usage', 'ENTRA_SYNC_SIGN_IN_CLIENT_ID is not set, but a credential of it is', {
      cure: 'set it to the client id of the registration that people sign in to (docs/web.md)',
    });
  }
  if (secret !== undefined) return { kind: 'secret', clientId, holder: 'ENTRA_SYNC_SIGN_IN_CLIENT_SECRET', secret };
  if (path !== undefined) {
    const holder = 'ENTRA_SYNC_SIGN_IN_CLIENT_CERTIFICATE_PATH';
    requireReadable(path, (cause) => unreadable(holder, path, cause));
    const password = readSecret(variables, 'ENTRA_SYNC_SIGN_IN_CLIENT_CERTIFICATE_PASSWORD');
    return { kind: 'certificate', clientId, holder, path, ...(password !== undefined && { password }) };
  }
  const tokenFile = variables.AZURE_FEDERATED_TOKEN_FILE || undefined;
  if (tokenFile !== undefined) {
    const holder = 'AZURE_FEDERATED_TOKEN_FILE';
    const assertion = readText(tokenFile, (cause) => unreadable(holder, tokenFile, cause));
    if (!assertion) throw new ExpectedError('usage', `${holder} is empty: ${tokenFile}`, { cure: emptyToken });
    return { kind: 'federated', clientId, holder, assertion };
  }
  throw new ExpectedError('usage', 'no credential for ENTRA_SYNC_SIGN_IN_CLIENT_ID', {
    cure: 'set ENTRA_SYNC_SIGN_IN_CLIENT_SECRET or ENTRA_SYNC_SIGN_IN_CLIENT_CERTIFICATE_PATH (docs/web.md)',
  });
}

const emptyToken = 'check the mount of the token (on Kubernetes the label azure.workload.identity/use of the pod)';

/**
 * Reads the credential that a tenant's settings name. Throws `credential_missing`, which concerns this tenant alone.
 */
export function readTenantCredential(variables: NodeJS.ProcessEnv, reference: CredentialReference): AppCredential {
  const { clientId, secret, certificate } = reference;
  if (certificate) {
    const holder = `the file ${certificate.file} that credential.certificate of this tenant names`;
    requireFile(certificate.file, (cause) => missing(`${holder} cannot be read`, cause));
    requireReadable(certificate.file, (cause) => missing(`${holder} cannot be read`, cause));
    const password = certificate.password && resolveReference(variables, certificate.password, 'certificate.password');
    return {
      kind: 'certificate',
      clientId,
      ofTenant: true,
      holder,
      path: certificate.file,
      ...(password && { password: password.value }),
    };
  }
  const { value, holder } = resolveReference(variables, secret, 'secret');
  return { kind: 'secret', clientId, ofTenant: true, holder, secret: value };
}

function resolveReference(
  variables: NodeJS.ProcessEnv,
  reference: SecretReference | undefined,
  setting: string,
): { value: string; holder: string } {
  const named = `that credential.${setting} of this tenant names`;
  if (reference && 'env' in reference) {
    const holder = `the variable ${reference.env} ${named}`;
    if (ownVariables.test(reference.env)) throw missing(`${holder} is entra-sync's own and never a tenant's secret`);
    const value = variables[reference.env];
    if (!value) throw missing(`${holder} is not set`);
    return { value, holder };
  }
  const path = reference?.file ?? '';
  const holder = `the file ${path} ${named}`;
  if (isOwnFile(variables, path)) throw missing(`${holder} is entra-sync's own and never a tenant's secret`);
  requireFile(path, (cause) => missing(`${holder} cannot be read`, cause));
  const value = readText(path, (cause) => missing(`${holder} cannot be read`, cause));
  if (!value) throw missing(`${holder} is empty`);
  return { value, holder };
}

// Settings are data, and the secrets that they name are sent to the sign-in service: never the program's own.
const ownVariables =
  /^(DATABASE_URL|PG[A-Z]+|AZURE_\w+|ENTRA_SYNC_SIGN_IN_\w+|OTEL_\w+|(HTTPS?|ALL)_PROXY|(https?|all)_proxy)$/;
const ownFiles = [
  'DATABASE_URL_FILE',
  'AZURE_CLIENT_SECRET_FILE',
  'AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE',
  'AZURE_FEDERATED_TOKEN_FILE',
  'ENTRA_SYNC_SIGN_IN_CLIENT_SECRET_FILE',
  'ENTRA_SYNC_SIGN_IN_CLIENT_CERTIFICATE_PASSWORD_FILE',
];

function isOwnFile(variables: NodeJS.ProcessEnv, path: string): boolean {
  const own = ownFiles.flatMap((name) => variables[name] || []).map((one) => resolve(one));
  return own.includes(resolve(path)) || /^\/(proc|dev)\//.test(resolve(path));
}

// Reading a pipe or a device might never end.
function requireFile(path: string, failure: (cause: unknown) => ExpectedError): void {
  try {
    if (statSync(path).isFile()) return;
  } catch (error) {
    throw failure(error);
  }
  throw failure(new Error('not a file'));
}

function missing(what: string, cause?: unknown): ExpectedError {
  return new ExpectedError('credential_missing', what, {
    cure: 'provide it where entra-sync runs, or name another one with entra-sync tenant set TENANT FILE',
    cause,
  });
}

function unreadable(variable: string, path: string, cause: unknown): ExpectedError {
  return new ExpectedError('usage', `${variable} cannot be read: ${path}`, {
    cure: unreadableCure,
    cause,
  });
}

function requireReadable(path: string, failure: (cause: unknown) => ExpectedError): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw failure(error);
  }
}

function readText(path: string, failure: (cause: unknown) => ExpectedError): string {
  try {
    return readSecretFile(path);
  } catch (error) {
    throw failure(error);
  }
}
