# The relay's image: Node, the production dependencies, and src and sandbox as JavaScript (build.ts). No shell script.
# Everything but /data may be read-only (`--read-only --tmpfs /tmp`); /data holds the store: mount a volume there.

FROM node:24-slim AS dependencies
WORKDIR /relay
COPY package.json package-lock.json ./
RUN ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"]

FROM node:24-slim AS build
WORKDIR /relay
COPY . .
RUN ["node", "build.ts"]

FROM node:24-slim
# Docker fills a new named volume from the image, owner included: so /data must belong to the relay here. It is not
# declared with VOLUME: whoever forgets to mount it would get a nameless volume, and lose it with the container.
RUN ["install", "--directory", "--owner=1000", "--group=1000", "--mode=0700", "/data"]
WORKDIR /relay
# Owned by root: the relay can write nowhere but to /data, not even to its own code.
COPY --from=dependencies /relay/node_modules ./node_modules
COPY --from=build /relay/dist /relay/LICENSE ./
# `docker compose exec relay relay status`: it finds the relay and its admin token by the same settings.
RUN ["ln", "-s", "/relay/src/cli.js", "/usr/local/bin/relay"]
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DATABASE_URL=sqlite:/data/relay.db
# A number, so that Kubernetes' runAsNonRoot can check that it is not root.
USER 1000:1000
EXPOSE 8080
# /livez and not /readyz: a relay that is shutting down or short of disk is unready, and restarting it would not help.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# One arena for all threads: glibc keeps what each of its arenas once held, which comes to 110 of 310 MB under load.
ENV MALLOC_ARENA_MAX=1
# Young objects die young here; without the bound V8 keeps 50 MB for them that nobody needs. As in package.json.
# And without the second it collects all garbage after each 8 MB of buffers, which bodies and payloads are: a fifth of the CPU
# of posts of 100 or 1,000 events.
# `gc` for the relay, which calls it once when it has started. And no debugger, which a SIGUSR1 would otherwise open.
CMD ["node", "--max-semi-space-size=8", "--heap-growing-percent=150", "--expose-gc", "--disable-sigusr1", "src/main.js"]
