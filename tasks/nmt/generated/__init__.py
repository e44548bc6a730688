"""The generated corpus: English sentences and their German translations."""
