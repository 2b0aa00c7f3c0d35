# The product: on one machine by the entry point of `npm start`, or as services by themselves (docker-compose.yml),
# with nats-server and minio on the PATH.

FROM golang:1.26-bookworm AS components
ENV GOBIN=/out
RUN go install github.com/nats-io/nats-server/v2@v2.15.2 && go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

FROM node:24-bookworm
COPY --from=components /out/ /usr/local/bin/
COPY --chown=node:node . /app
# Named volumes take over who owns what they are mounted on.
RUN mkdir /data /state /nats-config && chown node:node /data /state /nats-config
USER node
WORKDIR /app
RUN npm ci && node tools/build.mjs
EXPOSE 8000
ENTRYPOINT ["node", "tools/start.mjs", "--host", "0.0.0.0", "--data-dir", "/data"]
