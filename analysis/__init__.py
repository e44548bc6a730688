"""Figures, tables and reports from run directories; nothing here imports a task."""
