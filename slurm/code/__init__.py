"""The code of a run, frozen for its jobs."""
