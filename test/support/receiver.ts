// A receiver of webhooks on a port of its own: it answers as it is told, and keeps what came.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export type Received = {
  readonly id: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The ids of its changes. */
  readonly changes: readonly string[];
  readonly type: string;
};

/** What a receiver does with a message; `taken` answers 200. */
export type Doing =
  | 'taken'
  | 'silent'
  | 'cut'
  | 'cut amid the answer'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly text?: string };

export type Receiver = {
  readonly url: string;
  /** All that came, also what was not taken. */
  readonly received: Received[];
  /** What was answered with 200. */
  readonly taken: Received[];
  /** Decides what to do with the next message. */
  behave(doing: (message: Received) => Doing | Promise<Doing>): void;
  close(): Promise<void>;
};

/** Starts a receiver. It takes everything until it is told otherwise. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const taken: Received[] = [];
  let decide: (message: Received) => Doing | Promise<Doing> = () => 'taken';
  const server = createServer((request, response) => void answer(request, response).catch(() => request.destroy()));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    // A chat's form has no such parts.
    type Parts = { type?: string; data?: { changes?: { change_id: string }[] } };
    const { type = '', data = {} } = JSON.parse(body) as Parts;
    const headers = request.headers as Record<string, string>;
    const changes = (data.changes ?? []).map((change) => change.change_id);
    const message = { id: headers['webhook-id'] ?? '', body, headers, changes, type };
    received.push(message);
    const doing = await decide(message);
    if (doing === 'silent') return;
    if (doing === 'cut') return void request.socket.destroy();
    if (doing === 'cut amid the answer') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"half', () => request.socket.destroy());
      return;
    }
    if (doing === 'taken') taken.push(message);
    const { status, headers: more = {}, text = 'thank you' } = doing === 'taken' ? { status: 200 } : doing;
    response.writeHead(status, more).end(text);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    taken,
    behave: (doing) => {
      decide = doing;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Checks a message by the library of the scheme. Throws for a wrong signature. */
export function checkSignature(secret: string, { body, headers }: Received): void {
  new Webhook(secret).verify(body, { ...headers });
}
