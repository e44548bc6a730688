"""Figures: one file each, and a catalogue."""
