// The credential with which an application signs in.

/** The facts of a tenant's last access token, refused or not, and of the credential that it was got with. None is secret. */
export type Access = {
  /** The application permissions of the token, as it names them. */
  readonly roles: readonly string[];
  readonly credential: AppCredential['kind'];
  /** When the certificate ends; null for other credentials, which do not tell. */
  readonly endsAt: Date | null;
};

/** An application's credential; `holder` names where it is kept, for messages. */
export type AppCredential = {
  readonly clientId: string;
  readonly holder: string;
  /** The tenant's own credential: a fault of it concerns this tenant alone. */
  readonly ofTenant?: true;
} & (
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'certificate'; readonly path: string; readonly password?: string }
  /** Workload identity federation: a token of a trusted issuer, such as a Kubernetes cluster. */
  | { readonly kind: 'federated'; readonly assertion: string }
  /** A user-assigned managed identity that the application trusts; `identity` is its client id. */
  | { readonly kind: 'managed_identity'; readonly identity: string }
);
