# The image of the worker. Every step is a command that can also be run by hand in a checkout; no engine is needed to
# follow it. Build: docker build -t entra-sync .     Run: docker run --rm --env-file .env entra-sync worker

# The base of all stages, by its digest: a tag moves on, and the same commit shall build the same image. A newer one is named by
#   docker buildx imagetools inspect node:24-bookworm-slim --format '{{.Manifest.Digest}}'
# and tried by docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… before it is written here.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

# ---- build: TypeScript to JavaScript ------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS build
WORKDIR /app

# By hand: npm ci
# The lock file alone first: this layer is built anew only when a dependency changes.
COPY package.json package-lock.json ./
RUN npm ci

# By hand: npm run build
# Writes dist/src (the program).
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

# ---- dependencies: what the program needs to run ------------------------------------------------------------------
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app

# By hand: npm ci --omit=dev --omit=optional
# Optional is the embedded Postgres: a container works against a server, named by DATABASE_URL.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional

# ---- the image ----------------------------------------------------------------------------------------------------
FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production

# migrations/ and config/ are read at run time, from the folder that holds package.json.
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
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
ENTRYPOINT ["node", "--max-semi-space-size=4", "--heap-growing-percent=50", "dist/src/cli/main.js"]
# Health and metrics are asked for from outside of the container.
EXPOSE 9464
# By hand: node bin/healthcheck.js worker
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --retries=3 CMD ["node", "bin/healthcheck.js"]
CMD ["worker", "--metrics-host", "0.0.0.0"]
