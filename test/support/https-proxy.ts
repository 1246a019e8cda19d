// A reverse proxy with TLS in front of a server of this machine, as an operator would put it.
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { certificateFor } from './certificates.ts';
import { trust } from './system.ts';

export type HttpsProxy = {
  /** `https://localhost:PORT`. */
  readonly origin: string;
  /** The browsers that come next have this address. */
  comeFrom(address: string): void;
  /** Forwards to this port from now on. */
  forwardTo(port: number): void;
  close(): Promise<void>;
};

/** Starts the proxy. It adds the address of the browser to X-Forwarded-For. */
export async function startHttpsProxy(): Promise<HttpsProxy> {
  const certificate = await certificateFor('localhost', 10, `proxy ${process.pid} ${performance.now()}`);
  trust(certificate.cert);
  let port = 0;
  let browser = '203.0.113.1';
  const server = createServer(certificate, (asked, answer) => {
    const told = asked.headers['x-forwarded-for'];
    const headers = { ...asked.headers, 'x-forwarded-for': told === undefined ? browser : `${told}, ${browser}` };
    const forwarded = request(
      { host: '127.0.0.1', port, method: asked.method, path: asked.url, headers },
      (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.rawHeaders);
        answered.pipe(answer);
      },
    );
    forwarded.on('error', () => answer.writeHead(502).end());
    asked.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    comeFrom: (address) => {
      browser = address;
    },
    forwardTo: (next) => {
      port = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
