# The project's image, for those who have a container engine: docker build -t localhost/endcap:dev .
# It has the layout of scripts/images.sh, which needs no engine: programs in /usr/local/bin, user 65532, no entrypoint.
ARG RUST=1.95
ARG DEBIAN=bookworm

FROM node:20-${DEBIAN}-slim AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json ./
RUN npm ci
COPY console/ ./
RUN npm run build

FROM rust:${RUST}-${DEBIAN} AS programs
WORKDIR /src
COPY . .
# The programs embed the console when it is there.
COPY --from=console /src/console/dist console/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    CARGO_TARGET_DIR=/src/target cargo build --locked --release --workspace --bins \
    && mkdir -p /out \
    && for program in router predictor eventlog insights operator trainer data; do cp "target/release/endcap-$program" /out/; done \
    && cp target/release/endcap target/release/endcap-store /out/ \
    && strip /out/*

# What the programs need of Debian, and nothing else: no shell, no package manager.
FROM debian:${DEBIAN}-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata libgcc-s1
RUN set -eu; \
    libraries=usr/lib/$(uname -m)-linux-gnu; \
    mkdir -p "/base/$libraries" /base/usr/lib64 /base/usr/share /base/etc/ssl/certs /base/tmp; \
    for name in libc.so.6 libm.so.6 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2 libgcc_s.so.1; do \
      cp -L "/$libraries/$name" "/base/$libraries/"; done; \
    for loader in /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do \
      [ ! -e "$loader" ] || { mkdir -p "/base/usr$(dirname "$loader")"; cp -L "$loader" "/base/usr$loader"; }; done; \
    ln -s usr/lib /base/lib; ln -s usr/lib64 /base/lib64; \
    cp -r /usr/share/zoneinfo /base/usr/share/; rm -rf /base/usr/share/zoneinfo/right /base/usr/share/zoneinfo/posix; \
    cp /etc/ssl/certs/ca-certificates.crt /base/etc/ssl/certs/; \
    printf 'root:x:0:0:root:/:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n' > /base/etc/passwd; \
    printf 'root:x:0:\nnonroot:x:65532:\n' > /base/etc/group; \
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' > /base/etc/nsswitch.conf; \
    chmod 1777 /base/tmp

FROM scratch
COPY --from=base /base/ /
COPY --from=programs /out/endcap-router /out/endcap-predictor /out/endcap-eventlog /out/endcap-insights /out/endcap-store /usr/local/bin/
COPY --from=programs /out/endcap-operator /usr/local/bin/
COPY --from=programs /out/endcap-trainer /usr/local/bin/
COPY --from=programs /out/endcap-data /out/endcap /usr/local/bin/
ENV PATH=/usr/local/bin HOME=/ SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /
USER 65532:65532
