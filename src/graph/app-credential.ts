// The credential of the application: what it signs in with.

/** How an application proves who it is; `holder` is what holds the proof, for people. */
export type AppCredential = {
  readonly clientId: string;
  readonly holder: string;
  /** The tenant brings it itself: what is wrong with it concerns nobody else. */
  readonly ofTenant?: true;
} & (
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'certificate'; readonly path: string; readonly password?: string }
  /** A token of another issuer (a Kubernetes cluster, say) that the application trusts: workload identity federation. */
  | { readonly kind: 'federated'; readonly assertion: string }
  /** A user-assigned managed identity that the application trusts; `identity` is its client id. */
  | { readonly kind: 'managed_identity'; readonly identity: string }
);
