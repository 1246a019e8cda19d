// Reads and checks an application's certificate, one file with its key, before the sign-in: the libraries only report
// that there is no token.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readSecretFile, unreadableCure } from '../environment.ts';
import { ExpectedError } from '../errors.ts';
import type { AppCredential } from './app-credential.ts';

export type ClientCertificate = { readonly certificate: X509Certificate; readonly key: KeyObject };

/**
 * Reads a certificate. Throws `credential_refused`, or `credential_missing` for a tenant's own, if the file is
 * unreadable, lacks the certificate or the key, has another password, or has the key of another certificate.
 */
export function readClientCertificate(credential: Extract<AppCredential, { kind: 'certificate' }>): ClientCertificate {
  const { path, password, holder, ofTenant } = credential;
  // No `cause`: OpenSSL's error would keep its input.
  const wrong = (what: string, cure: string) =>
    new ExpectedError(ofTenant ? 'credential_missing' : 'credential_refused', `${holder} ${what}: ${path}`, { cure });
  const text = attempt(() => readSecretFile(path));
  if (text === undefined) throw wrong('cannot be read', unreadableCure);
  // The file also has the key, and perhaps the chain. The application's own certificate comes first.
  const [pem = ''] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(text) ?? [];
  const certificate = attempt(() => new X509Certificate(pem));
  const both = 'give it a PEM file with the key and its certificate';
  if (!certificate) throw wrong('holds no certificate', both);
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw wrong('holds no private key', both);
  const key = attempt(() => createPrivateKey({ key: text, ...(password !== undefined && { passphrase: password }) }));
  if (!key) {
    throw password === undefined
      ? wrong('holds a private key that needs a password, or is damaged', 'give the password too, or a new file')
      : wrong('holds a private key that its password does not open', 'check the password, or make a new file');
  }
  if (!certificate.checkPrivateKey(key)) throw wrong('holds the key of another certificate', both);
  return { certificate, key };
}

/**
 * Returns when a certificate expires; undefined for other credentials. Throws `credential_refused` or
 * `credential_missing` for an unusable one.
 */
export function credentialEnd(credential: AppCredential): Date | undefined {
  if (credential.kind !== 'certificate') return undefined;
  return new Date(readClientCertificate(credential).certificate.validTo);
}

function attempt<Answer>(work: () => Answer): Answer | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
