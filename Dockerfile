# Builds an image with the compiled service, its production dependencies and node: no shell, no package manager.
# A release pins the base image: --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages/unary-grpc/package.json ./packages/unary-grpc/
# No dependency needs an install script, and `prepare` would compile before src is copied.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY packages/unary-grpc/tsconfig.json ./packages/unary-grpc/
COPY packages/unary-grpc/src ./packages/unary-grpc/src
COPY src ./src
# The final stage has no `env` for the shebang of cli.js, and cannot run commands, so the symlink is created here, in a folder,
# because COPY of a folder preserves symlinks.
RUN npm run build && sed -i '1s|^#!/usr/bin/env node$|#!/usr/local/bin/node|' dist/cli.js \
  && mkdir bin && ln -s /app/dist/cli.js bin/approov-ext-authz

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages/unary-grpc/package.json ./packages/unary-grpc/
# npm links a workspace. The image has its files instead.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm node_modules/unary-grpc

# node and the Debian libraries that it links to. Scanners identify those by dpkg's status files; their licences require the
# copyright files. GCC's libraries share the copyright of gcc-…-base, through a symlink that a slim image may lack.
FROM ${NODE_IMAGE} AS system
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /system
RUN ldd /usr/local/bin/node | grep -o '/[^ ]*' | sort -u >/tmp/libraries \
  && xargs cp --parents --dereference --target-directory=. /usr/local/bin/node /etc/nsswitch.conf /etc/os-release </tmp/libraries \
  && xargs readlink -f </tmp/libraries | sed 's|^/usr||' | xargs -I{} sh -c 'dpkg -S {} || dpkg -S /usr{}' | sed 's|:.*||' | sort -u >/tmp/packages \
  && mkdir -p var/lib/dpkg/status.d tmp && chmod 1777 tmp \
  && while read -r package; do \
    dpkg-query --status "$package" >"var/lib/dpkg/status.d/$package" || exit 1; \
    copyright=/usr/share/doc/$package/copyright; \
    [ -e "$copyright" ] || copyright=$(echo /usr/share/doc/gcc-*-base/copyright); \
    install -D --mode=644 "$copyright" "usr/share/doc/$package/copyright" || exit 1; \
  done </tmp/packages

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="approov-ext-authz" \
  org.opencontainers.image.description="Envoy ext_authz service that verifies Approov tokens and message signatures" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.source="${SOURCE}"
ENV NODE_ENV=production PATH=/usr/local/bin
COPY --from=system /system/ /
WORKDIR /app
# Read at run time: the version in package.json, the API in proto/.
COPY package.json ./
COPY proto ./proto
COPY --from=modules /app/node_modules ./node_modules
COPY --from=build /app/packages/unary-grpc/package.json ./node_modules/unary-grpc/
COPY --from=build /app/packages/unary-grpc/dist ./node_modules/unary-grpc/dist
COPY --from=build /app/dist ./dist
# For `kubectl exec … -- approov-ext-authz explain`.
COPY --from=build /app/bin/ /usr/local/bin/
# Numeric, because Kubernetes' runAsNonRoot cannot verify a user name.
USER 65532:65532
EXPOSE 9001 9002
HEALTHCHECK --interval=5s --timeout=4s --start-period=15s --retries=3 CMD ["node", "dist/cli.js", "healthcheck"]
# By default V8 lets its young generation grow to 128 MiB, which was measured to save no CPU. In MiB.
ENTRYPOINT ["node", "--max-semi-space-size=4", "dist/cli.js"]
