"""Workers: processes that take members through Algorithm 1, turn by turn, in a run directory."""
