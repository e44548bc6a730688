"""The jobs of a run: what one does, how they are handed over, and what is known of them."""
