"""The environments: one file each, behind the interface of batch.py."""
