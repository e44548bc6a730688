"""Tests of the slurm package; some need a real Slurm."""
