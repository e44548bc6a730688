#!/bin/sh
# Submit a run to Slurm, wait until it is done, and verify it: examples/cluster.sh [PRESET [DIRECTORY]]
# CLUSTER=local uses processes of this machine in place of Slurm; the directory must be on a file
# system that all nodes see.
set -eu
preset=${1:-tasks.toy.presets:pbt}
out=${2:-runs/cluster}

python -m slurm submit "$preset" --out "$out" --workers 2 --time 0:10:00 --cluster "${CLUSTER:-slurm}"
python -m core watch "$out"
python -m core verify "$out"
