# docker build -t brimful:0.1.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/brimful /usr/local/bin/brimful
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/brimful"]
