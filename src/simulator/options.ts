// The settings of a simulator, their defaults, and which of them may change while it runs.
import { defaultFederation, type FederatedCredential } from './entra/federation.ts';
import type { Stuck } from './graph/stuck.ts';
import type { Tenant } from './tenant/tenant.ts';

/** What may be changed at run time through `simulator.options`. */
export type SimulatorOptions = {
  clientId: string;
  clientSecret: string;
  /** Tokens of other issuers that the application trusts. */
  federated: FederatedCredential[];
  /** Applications that a tenant brings itself, good for that tenant alone. */
  ownApplications: { tenantId: string; clientId: string; clientSecret: string }[];
  /**
   * Application permissions that the registration asks for: in new tokens of tenants whose consent nobody has touched, and
   * what others consent to; tokens handed out before keep theirs.
   */
  roles: string[];
  /** How many tokens after a consent are still made as if it had not been given. */
  lateConsent: number;
  /** Laid over the claims of id tokens, which are signed all the same; undefined leaves one out. */
  idTokenClaims: Record<string, unknown>;
  /** Whether the registration has id tokens tell the directory roles of who signs in (`wids`); its default is not to. */
  directoryRoles: boolean;
  /** Redirect addresses of the registration; null: any on localhost or by https. */
  redirectUris: string[] | null;
  /** Objects on a delta page. */
  pageSize: number;
  /** Members that one occurrence of a group, and one page, may tell of. */
  memberSlice: number;
  /** Most objects on a page of a listing, whatever `$top` asks for. */
  listPageSize: number;
  /** Milliseconds before every answer. */
  latencyMs: number;
  tokenLifetimeSeconds: number;
  /** 0..1: chance that an object is emitted twice in a round, an earlier state first, the latest state last. */
  repeats: number;
  /** 0..1: chance of an empty page with a nextLink before a page (at most three in a row). */
  emptyPages: number;
  /** Objects of a round in seeded random order. */
  shuffle: boolean;
  /** Changed objects in later rounds: all selected properties that have or lost a value, or the changed ones only. */
  form: 'default' | 'minimal' | 'mixed';
  /** Whether a restored group tells all its members again, like a new one; undocumented either way. */
  restoredMembers: boolean;
  /** Links and objects that fail for ever while the rest is answered. */
  stuck: Stuck;
};

export type SimulatorSettings = Partial<SimulatorOptions> & {
  tenants: readonly Tenant[];
  /** Whether the tenants have consented to the application from the start; default: true. */
  consented?: boolean;
  /** Default: localhost. */
  host?: string;
  /** Default: 0, any free port. */
  port?: number;
  /** Where the certificate files go; default: a fresh temporary directory, removed on close. */
  directory?: string;
};

/** The defaults of everything that may be changed at run time. */
export function defaultOptions(credentials: { clientId: string; clientSecret: string }): SimulatorOptions {
  return {
    ...credentials,
    federated: [defaultFederation],
    ownApplications: [],
    roles: ['User.Read.All', 'GroupMember.Read.All'],
    lateConsent: 0,
    idTokenClaims: {},
    directoryRoles: false,
    redirectUris: null,
    pageSize: 200,
    memberSlice: 500,
    listPageSize: 999,
    latencyMs: 0,
    tokenLifetimeSeconds: 3599,
    repeats: 0,
    emptyPages: 0,
    shuffle: false,
    form: 'default',
    restoredMembers: true,
    stuck: { links: [], objects: [] },
  };
}
