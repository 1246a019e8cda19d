// The state of the sign-in side: its tenants, their consents, unredeemed codes and issued tokens.

import type { SimulatorOptions } from '../options.ts';
import type { Account } from './accounts.ts';
import type { Certificates } from './certificates.ts';
import type { createConsents } from './consents.ts';

/** A sign-in that waits for its code to be redeemed. */
export type Code = {
  clientId: string;
  account: Account;
  nonce: string | null;
  challenge: string | null;
  redirectUri: string;
  scope: string;
  expiresAtMs: number;
};

export type Authority = {
  origin: string;
  options: SimulatorOptions;
  certificates: Certificates;
  /** Simulated tenants: id -> name. */
  tenants: ReadonlyMap<string, string>;
  /** The same: id -> domain of the names of its people. */
  domains: ReadonlyMap<string, string>;
  /** Returns a user of a simulated tenant by the sign-in name, without a directory role. */
  userOf(principal: string): Account | undefined;
  /** Consents by tenant. */
  consents: ReturnType<typeof createConsents>;
  /** Sign-ins whose codes were not redeemed yet. */
  codes: Map<string, Code>;
  /** The sign-ins that administrators have allowed, as `TENANT CLIENT`. */
  allowed: Set<string>;
  /** Access tokens handed out and not revoked. */
  issued: Map<string, AccessToken>;
};

export type AccessToken = { tenantId: string; roles: readonly string[]; expiresAtMs: number };
