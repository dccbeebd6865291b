#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whether KernelCI can give jobs to pull-lab.py: check.sh SUITE KERNELCI KERNEL PYTHON. KERNELCI has checkouts of
# kernelci-core and kernelci-pipeline, which stay as they are; KERNEL is a series of Debian's kernels.
set -euo pipefail
shopt -s inherit_errexit
suite=$(realpath "$1") kernelci=$(realpath "$2") series=$3 python=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in kernelci-core kernelci-pipeline; do
    mkdir "$work/$name"
    git -C "$kernelci/$name" archive HEAD | tar -xC "$work/$name"
done
"$here/../kernel.sh" "$series" "$work/kernels"
"$python" "$here/check.py" "$suite" "$work/kernelci-core" "$work/kernelci-pipeline" "$work/kernels" "$work"
