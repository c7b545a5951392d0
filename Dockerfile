# Both programs, each an image of its own:
#
#   docker build --target weir -t weir .
#   docker build --target valor-api -t valor-api .
#
# `make docker` does both; for several architectures: docker buildx build --platform linux/amd64,linux/arm64 --target weir .
# TestE2EImage (cmd/weir) carries these steps out without a container engine and runs what comes of them.

# The builder runs on the machine that builds and compiles for the one that will run it: no emulation. Tags are exact; dependabot moves them.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-trimpath
# Modules change less often than code: a layer of their own, and a cache for when they do.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w -X main.version=$VERSION" -o out/ ./cmd/weir ./cmd/valor-api
# What both images have beside their program: a user that is not root, and folders to write to. Named volumes take over mode and owner of these.
RUN mkdir -p common/etc common/tmp state/weir/var/lib/weir state/valor/var/lib/valor state/valor/srv/web \
    && chmod 1777 common/tmp && chmod 0700 state/weir/var/lib/weir state/valor/var/lib/valor \
    && printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >common/etc/passwd \
    && printf 'root:x:0:\nnonroot:x:65532:\n' >common/etc/group

# Nothing but what is copied here: no shell, no package manager, nothing to keep up to date but this file. Roots of trust for CAs, upstreams and providers;
# time zones for those who set TZ.
FROM scratch AS common
COPY --from=build /src/common/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/share/zoneinfo.zip
ENV ZONEINFO=/usr/share/zoneinfo.zip
STOPSIGNAL SIGTERM
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="https://github.com/valor-ivx/weir" \
      org.opencontainers.image.documentation="https://github.com/valor-ivx/weir/tree/main/docs" \
      org.opencontainers.image.vendor="Valor IVX" \
      org.opencontainers.image.licenses="Apache-2.0"

# The configuration is yours, at /etc/weir/weir.toml: mount the folder, so that changes of the file are seen. State (weights, certificates) is in /var/lib/weir.
FROM common AS weir
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="The edge: TLS, protection, balancing and blue/green in one binary"
COPY --from=build --chown=65532:65532 /src/state/weir/ /
COPY --from=build /src/out/weir /usr/bin/weir
ENV STATE_DIRECTORY=/var/lib/weir
USER 65532:65532
EXPOSE 80 443 443/udp
# It asks the admin address, 127.0.0.1:9180 or what WEIR_ADMIN says.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/bin/weir", "healthcheck", "--timeout", "4s"]
ENTRYPOINT ["/usr/bin/weir"]
CMD ["run", "-c", "/etc/weir/weir.toml"]

FROM common AS valor-api
LABEL org.opencontainers.image.title="valor-api" \
      org.opencontainers.image.description="Valor IVX, the valuation API that Weir bundles"
COPY --from=build --chown=65532:65532 /src/state/valor/ /
COPY --from=build /src/out/valor-api /usr/bin/valor-api
ENV VALOR_ADDRESS=:5002 VALOR_DATABASE=file:/var/lib/valor/valor.db
USER 65532:65532
EXPOSE 5002
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/bin/valor-api", "healthcheck"]
ENTRYPOINT ["/usr/bin/valor-api"]
