// A free port for a server that cannot say which one it took.
import { type AddressInfo, createServer } from 'node:net';

export async function freePort(host = 'localhost'): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
