# Builds the service's image: compiled, with production modules only, and no program but node: no shell, no package manager.
# A release pins the base: --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without scripts: nothing that we depend on needs one, and `prepare` would compile before src is there.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
# The compiler marks nothing as executable, and the last stage has no `env` for the first line of cli.js. The link is made here, as
# the last stage runs nothing, and in a folder, which COPY takes with the links in it.
RUN npm run build && chmod 755 dist/cli.js && sed -i '1s|^#!/usr/bin/env node$|#!/usr/local/bin/node|' dist/cli.js \
  && mkdir bin && ln -s /app/dist/cli.js bin/approov-ext-authz

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# node, and of Debian what it links to. The packages' status and copyright go along: scanners find the C library by the one, its
# licence asks for the other. The libraries of GCC share the text of gcc-…-base, by a link that a slim image may lack.
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
  org.opencontainers.image.description="Decides about Approov tokens for Envoy's external authorization" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.source="${SOURCE}"
ENV NODE_ENV=production PATH=/usr/local/bin
COPY --from=system /system/ /
WORKDIR /app
# The code reads package.json for its version and proto/ for its API.
COPY package.json ./
COPY proto ./proto
COPY --from=modules /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# For people: `kubectl exec … -- approov-ext-authz explain`.
COPY --from=build /app/bin/ /usr/local/bin/
# By number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 65532:65532
EXPOSE 9001 9002
HEALTHCHECK --interval=5s --timeout=4s --start-period=15s --retries=3 CMD ["node", "dist/cli.js", "healthcheck"]
ENTRYPOINT ["node", "dist/cli.js"]
