// The request to cancel a statement, byte for byte as the server gets it, unencrypted and over TLS.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { sendCancel } from '../../src/store/database/cancel.ts';
import { certificateFor } from '../support/certificates.ts';

// Length 16, the code of the request, process 7, its secret.
const request = Buffer.from('0000001004d2162e0000000700000309', 'hex');

/** Listens for one connection; resolves to the result of `read` once it has ended. */
async function listen(read: (socket: Socket) => Promise<Socket>) {
  const received = Promise.withResolvers<Buffer>();
  const server = createServer(async (socket) => {
    const plain = await read(socket);
    const parts: Buffer[] = [];
    plain.on('data', (part) => parts.push(part)).on('end', () => received.resolve(Buffer.concat(parts)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const victim = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, processID: 7, secretKey: 777 };
  return { victim, received: received.promise };
}

test('a request without TLS', async () => {
  const { victim, received } = await listen(async (socket) => socket);
  sendCancel({ ...victim, ssl: false } as unknown as Client);
  expect(await received).toEqual(request);
});

test('a request over TLS, if the connection uses it', async () => {
  const certificate = await certificateFor('localhost');
  const { victim, received } = await listen(async (socket) => {
    const [asked] = await once(socket, 'data');
    expect(asked).toEqual(Buffer.from('0000000804d2162f', 'hex'));
    socket.write('S');
    return new TLSSocket(socket, { isServer: true, ...certificate });
  });
  sendCancel({ ...victim, ssl: { ca: certificate.cert, servername: 'localhost' } } as unknown as Client);
  expect(await received).toEqual(request);
});

test('an unreachable server is not an error', async () => {
  const { victim } = await listen(async (socket) => socket);
  sendCancel({ ...victim, port: 1, ssl: false } as unknown as Client);
  sendCancel({ ...victim, processID: null, ssl: false } as unknown as Client);
});
