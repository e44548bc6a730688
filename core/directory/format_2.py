"""Run directories of format 2: what their run.json and records say, in the words of format 3.

Format 2 wrote a class by the file in which it lay. This table is closed: it holds what could be
written then, and nothing is ever added to it.
"""

from collections.abc import Mapping
from typing import cast

NAMES = {
    "core.anneal:Anneal": "core:Anneal",
    "core.pbt:PBT": "core:PBT",
    "core.space:Choice": "core:Choice",
    "core.space:Fixed": "core:Fixed",
    "core.space:Integer": "core:Integer",
    "core.space:LogUniform": "core:LogUniform",
    "core.space:Space": "core:Space",
    "core.space:Uniform": "core:Uniform",
    "core.strategies:Among": "core:Among",
    "core.strategies:Chain": "core:Chain",
    "core.strategies:Every": "core:Every",
    "core.strategies:Noise": "core:Noise",
    "core.strategies:Perturb": "core:Perturb",
    "core.strategies:Resample": "core:Resample",
    "core.strategies:SinceLastReady": "core:SinceLastReady",
    "core.strategies:SymmetricPerturb": "core:SymmetricPerturb",
    "core.strategies:TTest": "core:TTest",
    "core.strategies:Truncation": "core:Truncation",
    "core.strategies:binary_tournament": "core:binary_tournament",
    "core.strategies:keep": "core:keep",
    "core.strategies:never": "core:never",
    "core.task:Task": "core:Task",
    "tasks.gan.dcgan:Discriminator": "tasks.gan:DCGANDiscriminator",
    "tasks.gan.dcgan:Generator": "tasks.gan:DCGANGenerator",
    "tasks.gan.dense:Discriminator": "tasks.gan:DenseDiscriminator",
    "tasks.gan.dense:Generator": "tasks.gan:DenseGenerator",
    "tasks.gan.dense_losses:critic_gradients": "tasks.gan:dense_critic_gradients",
    "tasks.gan.dense_losses:generator_gradients": "tasks.gan:dense_generator_gradients",
    "tasks.gan.losses:critic_gradients": "tasks.gan:critic_gradients",
    "tasks.gan.losses:generator_gradients": "tasks.gan:generator_gradients",
    "tasks.gan.problems:cifar10_images": "tasks.gan:cifar10_images",
    "tasks.gan.problems:cifar10_report": "tasks.gan:cifar10_report",
    "tasks.gan.problems:cifar10_score": "tasks.gan:cifar10_score",
    "tasks.gan.problems:digit_images": "tasks.gan:digit_images",
    "tasks.gan.problems:digit_squares": "tasks.gan:digit_squares",
    "tasks.gan.problems:digits_report": "tasks.gan:digits_report",
    "tasks.gan.problems:digits_score": "tasks.gan:digits_score",
    "tasks.gan.trainer:Problem": "tasks.gan:Problem",
    "tasks.gan.trainer:WGANGP": "tasks.gan:WGANGP",
    "tasks.nmt.corpus:generated": "tasks.nmt:generated",
    "tasks.nmt.network:Network": "tasks.nmt:Network",
    "tasks.nmt.trainer:Translation": "tasks.nmt:Translation",
    "tasks.nmt.trainer:Translator": "tasks.nmt:Translator",
    "tasks.nmt.warm_up:WarmUp": "tasks.nmt:WarmUp",
    "tasks.nmt.wmt14:wmt14": "tasks.nmt:wmt14",
    "tasks.rl.agents.a2c:A2C": "tasks.rl:A2C",
    "tasks.rl.agents.fun:FuN": "tasks.rl:FuN",
    "tasks.rl.agents.unreal:UNREAL": "tasks.rl:UNREAL",
    "tasks.rl.environments.atari:Atari": "tasks.rl:Atari",
    "tasks.rl.environments.classic:Classic": "tasks.rl:Classic",
    "tasks.rl.environments.doom:Doom": "tasks.rl:Doom",
    "tasks.rl.environments.lab:Lab": "tasks.rl:Lab",
    "tasks.rl.environments.recall:Recall": "tasks.rl:Recall",
    "tasks.rl.environments.remote:Remote": "tasks.rl:Remote",
    "tasks.rl.environments.singles:Singles": "tasks.rl:Singles",
    "tasks.rl.environments.starcraft:StarCraft": "tasks.rl:StarCraft",
    "tasks.rl.trainer:ActorCritic": "tasks.rl:ActorCritic",
    "tasks.rl.trainer:Problem": "tasks.rl:Problem",
    "tasks.toy.quadratic:Quadratic": "tasks.toy:Quadratic",
}


def epochs(info: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what format 3 calls epochs: a run of format 2 has one."""
    of_all = ("format", "id", "checksum")
    epoch = {name: value for name, value in info.items() if name not in of_all}
    return [epoch | {"settings": settings(cast(Mapping[str, object], epoch["settings"]))}]


def settings(described: Mapping[str, object]) -> dict[str, object]:
    """Return settings as format 3 has them: with public names, and with what was no setting yet."""
    new = {"keep": 1}  # what every run did then
    return new | cast(dict[str, object], _named(described))


def _named(settings: object) -> object:
    if isinstance(settings, Mapping):
        return {key: _named(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_named(value) for value in settings]
    return NAMES.get(settings, settings) if isinstance(settings, str) else settings


def record(body: Mapping[str, object]) -> dict[str, object]:
    """Return the body of a record with the fields that format 2 lacks.

    Then a member had failed if it had no weights after its first step. Which run a record is of,
    and which backend wrote it, was not written down.
    """
    member = cast(Mapping[str, object], body["member"])
    failed = body["weights"] is None and member["step"] != 0
    return {**body, "failed": failed, "run": "", "backend": ""}
