#!/usr/bin/env bash
# Puts the named helper programs into the cache (never into the checkout or the system): cargo-deny, versitygw,
# helm, kubeconform, kwok, kubectl, coredns, conntrack.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
bin=$ENDCAP_CACHE/bin
mkdir -p "$bin"
for tool in "$@"; do
  [ -x "$bin/$tool" ] && continue
  case $tool in
    cargo-deny)
      say "building cargo-deny (once, a few minutes)"
      need cargo "install Rust 1.95 (rustup)"
      CARGO_TARGET_DIR=$ENDCAP_CACHE/tools-target cargo install --quiet --locked --root "$ENDCAP_CACHE" cargo-deny@0.20.2
      rm -rf "$ENDCAP_CACHE/tools-target"
      ;;
    versitygw)
      say "building versitygw, an S3-compatible store for tests (once, about a minute)"
      need go "install Go 1.26"
      GOBIN=$bin CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
      ;;
    helm)
      say "building helm (once, about a minute and a half)"
      need go "install Go 1.26"
      # Without the last two, helm takes Kubernetes for 1.20 where it has no cluster to ask (template, lint).
      charts=helm.sh/helm/v3/pkg/chartutil
      GOBIN=$bin CGO_ENABLED=0 go install -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0 \
        -X $charts.k8sVersionMajor=1 -X $charts.k8sVersionMinor=36" helm.sh/helm/v3/cmd/helm@v3.22.0
      ;;
    kubeconform)
      say "building kubeconform, which checks manifests against Kubernetes' schemas (once, a few seconds)"
      need go "install Go 1.26"
      GOBIN=$bin CGO_ENABLED=0 go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
      ;;
    kwok)
      say "building kwok, which plays nodes and pods for tests of scale (once, about a minute and a half)"
      need go "install Go 1.26"
      GOBIN=$bin CGO_ENABLED=0 go install -ldflags "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0" sigs.k8s.io/kwok/cmd/kwok@v0.8.0
      ;;
    kubectl | coredns | conntrack)
      # What the test cluster is made of: one build serves both.
      need python3 "install Python 3.11"
      profile=node
      [ "$tool" != kubectl ] || profile=control-plane
      path=$(python3 -m cluster build --profile "$profile" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$tool")
      ln -sf "$path" "$bin/$tool"
      ;;
    *) printf 'unknown tool %s\n' "$tool" >&2; exit 1 ;;
  esac
done
