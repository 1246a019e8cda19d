// Explains why a TLS certificate was rejected, at sign-in and at Graph.

const faults: Readonly<Record<string, { says: string; cure: string }>> = {
  CERT_HAS_EXPIRED: {
    says: 'has expired',
    cure: 'have it renewed; if it is still valid, set the clock of this machine',
  },
  CERT_NOT_YET_VALID: { says: 'is not valid yet', cure: 'set the clock of this machine' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    says: 'is for another host',
    cure: 'check GRAPH_BASE_URL, AZURE_AUTHORITY_HOST and any proxy in between',
  },
};

/** Returns one line about the certificate of `host`, and its cure. `code` is Node's. */
export function explainCertificate(host: string, code: string): { message: string; cure: string } {
  const { says, cure } = faults[code] ?? {
    says: 'is not trusted',
    cure: 'set NODE_EXTRA_CA_CERTS to the certificate authority that signed it',
  };
  return { message: `the certificate of ${host} ${says} (${code})`, cure };
}
