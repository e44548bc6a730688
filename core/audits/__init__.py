"""Audits: `check` holds a trainer to its contract, `verify` recomputes the decisions of a run."""
