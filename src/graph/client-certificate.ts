// The certificate that an application proves itself with: one file with its key. What is wrong with it is said before anybody
// is asked, because the libraries only say that there is no token.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ExpectedError } from '../errors.ts';
import type { AppCredential } from './app-credential.ts';

export type ClientCertificate = { readonly certificate: X509Certificate; readonly key: KeyObject };

/**
 * Reads it. Throws `credential_refused`, or `credential_missing` of one that a tenant brings itself: unreadable, no
 * certificate in it, no key, a password that does not fit, or a key of another certificate.
 */
export function readClientCertificate(credential: Extract<AppCredential, { kind: 'certificate' }>): ClientCertificate {
  const { path, password, holder, ofTenant } = credential;
  // The reasons of OpenSSL are not passed on: the cause would be kept with what it was given.
  const wrong = (what: string, cure: string) =>
    new ExpectedError(ofTenant ? 'credential_missing' : 'credential_refused', `${holder} ${what}: ${path}`, { cure });
  const text = attempt(() => readFileSync(path, 'utf8'));
  if (text === undefined) throw wrong('cannot be read', 'check the path and its permissions');
  // The file holds the key too, and perhaps the chain: the application's own certificate comes first.
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

function attempt<Answer>(work: () => Answer): Answer | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
