# The gateway's image: Node.js, the compiled gateway and its production dependencies. Nothing else.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/bundle.mjs scripts/source-lines.mjs scripts/run.mjs scripts/
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    PATCHBAY_DATA_DIR=/data
# Inside a network of the container's own; with the host's network, choose an address.
ENV PATCHBAY_HTTP_HOST=0.0.0.0
WORKDIR /app
COPY --from=build --chown=root:root /build/package.json ./
COPY --from=build --chown=root:root /build/node_modules node_modules
COPY --from=build --chown=root:root /build/dist dist
COPY LICENSE ./
RUN install -d -o node -g node -m 0700 /data
VOLUME /data
USER node
# REST, WebSocket and console; SIP; browsers' media. RTP of phones is a range: see docs/production.md.
EXPOSE 8080/tcp 5060/udp 5060/tcp 7000/udp
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["node", "dist/app/health-check.js"]
# SIGTERM drains: give it longer than PATCHBAY_DRAIN_SECONDS before SIGKILL.
CMD ["node", "dist/main.js"]
