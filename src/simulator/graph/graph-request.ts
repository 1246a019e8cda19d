// A request to Graph as its endpoints see it, and what they answer it from.
import type { Answer } from '../answers.ts';
import type { AccessToken } from '../entra/authority-state.ts';
import type { SimulatorOptions } from '../options.ts';
import type { Truth } from '../tenant/truth.ts';

export type GraphRequest = {
  method: string;
  /** Path and query, as sent. */
  url: string;
  /** Header names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
  /** The client's port of the connection. */
  remotePort?: number;
  /** Inside a batch, where nothing but GET is answered. */
  isInner?: true;
};

export type GraphContext = {
  origin: string;
  options: SimulatorOptions;
  issued: ReadonlyMap<string, AccessToken>;
  truths: ReadonlyMap<string, Truth>;
  /** Answers one request inside a batch; the server records it and lets tests step in. */
  answerInner: (request: GraphRequest) => Promise<Answer>;
};
