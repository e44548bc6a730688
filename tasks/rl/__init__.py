"""Reinforcement learning: UNREAL, FuN and A3C on DeepMind Lab, Atari and StarCraft II."""

PUBLIC = {  # what a run directory calls what lies here or there (core/directory/described.py)
    "A2C": "tasks.rl.agents.a2c:A2C",
    "ActorCritic": "tasks.rl.trainer:ActorCritic",
    "Atari": "tasks.rl.environments.atari:Atari",
    "Classic": "tasks.rl.environments.classic:Classic",
    "Doom": "tasks.rl.environments.doom:Doom",
    "FuN": "tasks.rl.agents.fun:FuN",
    "Lab": "tasks.rl.environments.lab:Lab",
    "Problem": "tasks.rl.trainer:Problem",
    "Recall": "tasks.rl.environments.recall:Recall",
    "Remote": "tasks.rl.environments.remote:Remote",
    "Singles": "tasks.rl.environments.singles:Singles",
    "StarCraft": "tasks.rl.environments.starcraft:StarCraft",
    "UNREAL": "tasks.rl.agents.unreal:UNREAL",
}
