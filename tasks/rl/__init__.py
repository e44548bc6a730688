"""Reinforcement learning: UNREAL, FuN and A3C on DeepMind Lab, Atari and StarCraft II."""
