"""The agents: each file reads like its paper."""
