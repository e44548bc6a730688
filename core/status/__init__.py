"""How far a run is, seen from outside: its progress, its workers, what to mind."""
