"""The run directory: files that members publish and others read."""
