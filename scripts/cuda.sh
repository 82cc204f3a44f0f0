#!/usr/bin/env bash
# make check-cuda: the trainer with its feature `cuda`, as far as that goes without a GPU: candle's kernels are compiled by nvcc and the
# trainer is type-checked against them. Nothing is linked and nothing runs. nvcc comes from PyPI into $ENDCAP_CACHE/cuda (about 500 MB); one
# that is there already is taken where CUDA_HOME names it. CUDA_COMPUTE_CAP=80 is the generation that the kernels are made for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
# One that cudarc knows.
release=13.1

if [ -z "${CUDA_HOME:-}" ]; then
  env="$ENDCAP_CACHE/cuda/env"
  if ! ls "$env"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc > /dev/null 2>&1; then
    need python3 "Python fetches nvcc"
    say "nvcc $release into $env"
    mkdir -p "$ENDCAP_CACHE/cuda"
    python3 -m venv "$env"
    packages=(nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl nvidia-cuda-crt nvidia-nvvm)
    if ! "$env/bin/python" -m pip install --quiet --no-cache-dir "${packages[@]/%/==$release.*}" nvidia-curand; then
      cannot_run "the trainer with CUDA" "nvcc could not be fetched from PyPI; name a CUDA that is there with CUDA_HOME"
      exit 0
    fi
  fi
  CUDA_HOME=$(dirname "$(dirname "$(ls "$env"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)")")
fi
export CUDA_HOME PATH="$CUDA_HOME/bin:$PATH" CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
# Nothing runs, so nothing is optimised: candle's kernels for quantised numbers, which we never call, else take most of half an hour.
export NVCC_APPEND_FLAGS="-Xcicc -O0 -Xptxas -O0"
# Other features of candle would make the usual builds start anew.
export CARGO_TARGET_DIR="$ENDCAP_CACHE/cuda/target"

nvcc --version | sed -n 's/^Cuda compilation tools, /nvcc: /p'
say "check"
cargo check --locked -p endcap-trainer --features cuda
