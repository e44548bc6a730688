"""What a person sees and types: commands, tables, live progress."""
