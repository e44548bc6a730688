"""The engine: Algorithm 1 of Population Based Training and the directory that its members share."""
