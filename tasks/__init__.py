"""What is trained: one folder a task; each imports core, never another task."""
