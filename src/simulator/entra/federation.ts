// Workload identity federation: an issuer outside Entra, whose tokens the application trusts in place of a secret.
import { decodeJwt, errors, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { type Answer, signInError } from '../answers.ts';

/** What a federated credential of an application registration holds: the one token that is trusted, told by three texts. */
export type FederatedCredential = { issuer: string; subject: string; audience: string };

/** Whose token is made; by default one that is trusted, for an hour. */
export type FederatedToken = Partial<FederatedCredential> & { lifetimeSeconds?: number; stranger?: boolean };

/** A Kubernetes cluster, as it could be. */
export const defaultFederation: FederatedCredential = {
  issuer: 'https://cluster.example/',
  subject: 'system:serviceaccount:entra-sync:worker',
  audience: 'api://AzureADTokenExchange',
};

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

let own: Promise<Keys> | undefined;

// Made once, and only when somebody asks: RSA keys take their time.
function ownKeys(): Promise<Keys> {
  own ??= generateKeyPair('RS256');
  return own;
}

/** A token of the issuer, or with `stranger` one of somebody who only says to be it. */
export async function issueFederated(trusted: FederatedCredential, wanted: FederatedToken = {}): Promise<string> {
  const { issuer, subject, audience, lifetimeSeconds = 3600, stranger } = { ...trusted, ...wanted };
  const { privateKey } = stranger ? await generateKeyPair('RS256') : await ownKeys();
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: 'cluster' })
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(privateKey);
}

/** Whether an assertion comes from elsewhere: an application that proves itself by certificate is its own issuer. */
export function isFederated(assertion: string, clientId: string): boolean {
  try {
    return decodeJwt(assertion).iss !== clientId;
  } catch {
    return false;
  }
}

/** Why a federated assertion is refused, in Entra's words; undefined when it is trusted. */
export async function refuseFederated(
  assertion: string,
  trusted: readonly FederatedCredential[],
): Promise<Answer | undefined> {
  const { iss = '', sub = '', aud = '' } = decodeJwt(assertion);
  const refuse = (code: number, what: string) => signInError(401, 'invalid_client', code, what);
  const none = 'No matching federated identity record found for presented assertion';
  const sameIssuer = trusted.filter((one) => one.issuer === iss);
  if (sameIssuer.length === 0)
    return refuse(
      700211,
      `${none} issuer '${iss}'. Please check your federated identity credential Subject, Audience and Issuer.`,
    );
  const sameSubject = sameIssuer.filter((one) => one.subject === sub);
  if (sameSubject.length === 0)
    return refuse(
      700213,
      `${none} subject '${sub}'. Please check your federated identity credential Subject, Audience and Issuer.`,
    );
  if (!sameSubject.some((one) => [aud].flat().includes(one.audience)))
    return refuse(
      700212,
      `${none} audience '${[aud].flat().join(' ')}'. Please check your federated identity credential Subject, Audience and Issuer.`,
    );
  try {
    await jwtVerify(assertion, (await ownKeys()).publicKey, { requiredClaims: ['exp'] });
    return undefined;
  } catch (cause) {
    if (cause instanceof errors.JWTExpired)
      return refuse(
        700024,
        'Client assertion is not within its valid time range. Please check the expiry of the assertion.',
      );
    return refuse(7000272, 'The signature of the federated assertion is not valid.');
  }
}
