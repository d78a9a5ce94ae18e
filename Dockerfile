# docker build -t brimful:0.1.0 .
#
# Two images of one file: `binary` (the default) builds from source and needs nothing but Docker; `release` takes the
# static binaries of a release (dist/linux/ARCH/brimful), so that image and download hold the same bytes.
# Base images are pinned by version here; Renovate (renovate.json) adds their digests and keeps both current.

FROM rust:1.95.0-bookworm AS chef
# Dependencies get a layer of their own: as long as Cargo.lock stands, a build compiles only what is in this repository.
RUN cargo install cargo-chef --locked --version 0.1.78
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --locked --release --recipe-path recipe.json
COPY . .
RUN cargo build --locked --release

FROM gcr.io/distroless/static-debian12:nonroot AS release
ARG TARGETARCH
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="brimful" \
      org.opencontainers.image.description="Fills AWS Savings Plans before Spot, by the weights of Karpenter's NodePools" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY dist/linux/${TARGETARCH}/brimful /usr/local/bin/brimful
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/brimful"]

FROM gcr.io/distroless/cc-debian12:nonroot AS binary
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="brimful" \
      org.opencontainers.image.description="Fills AWS Savings Plans before Spot, by the weights of Karpenter's NodePools" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /src/target/release/brimful /usr/local/bin/brimful
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/brimful"]
