"""Figures and tables from run directories alone; nothing here imports a task."""
