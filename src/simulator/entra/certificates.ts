// The certificates of a simulator: one for TLS, one for the application's sign-in. They are made once per process and host,
// because RSA keys take longer than the rest of the start.
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export type KeyPair = {
  certificate: string;
  key: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
  thumbprint: string;
};
export type Certificates = { tls: KeyPair; client: KeyPair };
export type CertificateFiles = { folder: string; authority: string; client: string; remove: () => Promise<void> };

const made = new Map<string, Promise<Certificates>>();
const day = 24 * 60 * 60 * 1000;

async function makePair(commonName: string, host: string): Promise<KeyPair> {
  const subject = [
    { name: 'commonName', value: commonName },
    // Of two trusted certificates with one subject OpenSSL may try the wrong one: a process that meets two simulators
    // then trusts one of them.
    { name: 'organizationName', value: `simulated tenant ${randomUUID()}` },
  ];
  const pems = await generate(subject, {
    algorithm: 'sha256',
    keySize: 2048,
    // Starts yesterday, so that a client whose clock is slow accepts it.
    notBeforeDate: new Date(Date.now() - day),
    notAfterDate: new Date(Date.now() + 90 * day),
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...[...new Set([host, 'localhost'])]
            .filter((name) => !/^[\d.:]+$/.test(name))
            .map((value) => ({ type: 2 as const, value })),
          ...[...new Set([host, '127.0.0.1', '::1'])]
            .filter((name) => /^[\d.:]+$/.test(name))
            .map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return {
    certificate: pems.cert,
    key: pems.private,
    privateKey: createPrivateKey(pems.private),
    publicKey: createPublicKey(pems.cert),
    thumbprint: new X509Certificate(pems.cert).fingerprint.replaceAll(':', ''),
  };
}

async function makeCertificates(host: string): Promise<Certificates> {
  return { tls: await makePair(host, host), client: await makePair('entra-sync simulated application', host) };
}

export function certificatesFor(host: string): Promise<Certificates> {
  const existing = made.get(host) ?? makeCertificates(host);
  made.set(host, existing);
  return existing;
}

/** Writes the files of a client: the certificate to trust, and the application's key with its certificate (mode 0600). */
export async function writeFiles(certificates: Certificates, directory: string | undefined): Promise<CertificateFiles> {
  const folder = directory ?? (await mkdtemp(join(tmpdir(), 'simulated-tenant-')));
  await mkdir(folder, { recursive: true });
  const [authority, client] = [join(folder, 'authority.pem'), join(folder, 'application.pem')];
  await writeFile(authority, certificates.tls.certificate);
  await writeFile(client, `${certificates.client.key.trim()}\n${certificates.client.certificate.trim()}\n`, {
    mode: 0o600,
  });
  // `mode` applies to new files only.
  await chmod(client, 0o600);
  const remove = async () => {
    if (directory === undefined) {
      await rm(folder, { recursive: true, force: true });
    }
  };
  return { folder, authority, client, remove };
}
