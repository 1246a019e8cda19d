// TLS certificates, each wrong in one way.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';

const day = 24 * 60 * 60 * 1000;

export type ServerCertificate = { key: string; cert: string };

/**
 * Makes a self-signed certificate for `host`, valid from yesterday for `days` days. Of two authorities called `name`
 * OpenSSL finds one alone.
 */
export async function certificateFor(host: string, days = 10, name = host): Promise<ServerCertificate> {
  const pems = await generate([{ name: 'commonName', value: name }], {
    algorithm: 'sha256',
    keySize: 2048,
    notBeforeDate: new Date(Date.now() + (days < 0 ? 2 * days : -1) * day),
    notAfterDate: new Date(Date.now() + days * day),
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
    ],
  });
  return { key: pems.private, cert: pems.cert };
}

/** Writes a file for NODE_EXTRA_CA_CERTS that trusts all of these certificates. */
export async function trustFile(directory: string, ...certificates: string[]): Promise<string> {
  const file = join(directory, 'trusted.pem');
  await writeFile(file, certificates.join('\n'));
  return file;
}
