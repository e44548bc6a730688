"""The jobs of a run: what one does, how they are submitted, what is recorded about them."""
