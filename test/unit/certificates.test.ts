// A process that meets several simulators, each of another process, trusts all of them.
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { KeyPair } from '../../src/simulator/entra/certificates.ts';

/** The certificate that another process would make. */
async function certificateOfAnother(): Promise<KeyPair> {
  vi.resetModules();
  const { certificatesFor } = await import('../../src/simulator/entra/certificates.ts');
  return (await certificatesFor('localhost')).tls;
}

async function isTrusted(one: KeyPair, trusted: readonly string[]): Promise<boolean> {
  const server = createServer({ key: one.key, cert: one.certificate });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: [...trusted] });
    socket.once('secureConnect', () => resolve(socket.authorized)).once('error', () => resolve(false));
    socket.once('secureConnect', () => socket.destroy());
  });
}

test('certificates of several simulators are all trusted together', async () => {
  const pairs: KeyPair[] = [];
  for (let made = 0; made < 4; made += 1) pairs.push(await certificateOfAnother());
  const trusted = pairs.map((one) => one.certificate);
  expect(await Promise.all(pairs.map((one) => isTrusted(one, trusted)))).toEqual(pairs.map(() => true));
});
