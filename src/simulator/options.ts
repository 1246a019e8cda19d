// The settings of a simulator, their defaults, and which of them may change at run time.
import { defaultFederation, type FederatedCredential } from './entra/federation.ts';
import type { PhotoFault } from './graph/photos.ts';
import type { Stuck } from './graph/stuck.ts';
import type { Tenant } from './tenant/tenant.ts';

/** The options that `simulator.options` may change at run time. */
export type SimulatorOptions = {
  clientId: string;
  clientSecret: string;
  /** Tokens of other issuers that the application trusts. */
  federated: FederatedCredential[];
  /** Applications that are registered in one tenant only. */
  ownApplications: { tenantId: string; clientId: string; clientSecret: string }[];
  /**
   * Application permissions that the registration requests. A consent grants them; a tenant without an explicit consent
   * follows them. Issued tokens keep their roles.
   */
  roles: string[];
  /** The number of tokens after a consent that still have the roles from before it. */
  lateConsent: number;
  /** A second registration, to which people sign in and which reads no directory; null: there is none. */
  signInApplication: { clientId: string; clientSecret: string } | null;
  /** Application roles that people have, by their sign-in names: the claim `roles` of id tokens. */
  appRoles: Record<string, string[]>;
  /**
   * By sign-in name: what the account picker says of an account, and of users of the simulated tenants that it offers too.
   * These come first.
   */
  people: Record<string, string>;
  /** Override claims of id tokens, before they are signed; undefined removes a claim. */
  idTokenClaims: Record<string, unknown>;
  /** Whether id tokens name the user's directory roles (`wids`), an option of the registration. */
  directoryRoles: boolean;
  /** Whether people may allow an application themselves; else their sign-in needs an administrator's consent. */
  userConsent: boolean;
  /** Whether the registration that reads declares `openid` and `profile`, so that a consent to it covers the sign-in. */
  declaresSignIn: boolean;
  /** Redirect addresses of the registration; null: any https address or localhost. */
  redirectUris: string[] | null;
  pageSize: number;
  /** The maximum number of members per occurrence of a group, and per page. */
  memberSlice: number;
  /** The maximum number of objects per page of a listing, regardless of `$top`. */
  listPageSize: number;
  /** Milliseconds before every answer. */
  latencyMs: number;
  tokenLifetimeSeconds: number;
  /** 0..1: chance that a round shows an object twice, first in an earlier state, last in the latest. */
  repeats: number;
  /** 0..1: chance of an empty page with a nextLink before a page (at most three in a row). */
  emptyPages: number;
  /** Whether a round shows its objects in seeded random order. */
  shuffle: boolean;
  /** The properties of a changed object in later rounds: all that have or lost a value, or only changed ones. */
  form: 'default' | 'minimal' | 'mixed';
  /** Whether a restored group shows all its members again, like a new one; undocumented either way. */
  restoredMembers: boolean;
  /** 0..1: chance that a user's manager comes in an occurrence of its own, on a later page. */
  managersApart: number;
  /** 0..1: chance that a replaced manager is shown as removed, beside the new one. */
  formerManagers: number;
  stuck: Stuck;
  /** Users whose photo is not answered as it should be. */
  photoFaults: PhotoFault[];
};

export type SimulatorSettings = Partial<SimulatorOptions> & {
  tenants: readonly Tenant[];
  /** Whether the tenants have consented to the application from the start; default: true. */
  consented?: boolean;
  /** Default: localhost. */
  host?: string;
  /** Default: 0, any free port. */
  port?: number;
  /** The directory of the certificate files; default: a temporary one, removed on close. */
  directory?: string;
};

export function defaultOptions(credentials: { clientId: string; clientSecret: string }): SimulatorOptions {
  return {
    ...credentials,
    federated: [defaultFederation],
    ownApplications: [],
    roles: ['User.Read.All', 'GroupMember.Read.All'],
    lateConsent: 0,
    signInApplication: null,
    appRoles: {},
    people: {},
    idTokenClaims: {},
    directoryRoles: false,
    userConsent: true,
    declaresSignIn: true,
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
    managersApart: 0,
    formerManagers: 0,
    stuck: { links: [], objects: [] },
    photoFaults: [],
  };
}
