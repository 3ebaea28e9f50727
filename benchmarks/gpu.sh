#!/usr/bin/env bash
# All that is measured on a GPU, in one go of under six minutes; see gpu.py.
#   bash benchmarks/gpu.sh [--peer PYTHON] [--small]
cd "$(dirname "$0")" || exit 1
exec timeout 360 "${PYTHON:-python3}" gpu.py "$@"
