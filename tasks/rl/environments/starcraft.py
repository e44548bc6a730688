"""StarCraft II's mini-games through pysc2: layers of features, a function and its arguments.

An action is a function, among those that are available now, and a value for each argument that the
function takes. A point is two parts, x and y, chosen independently as in the Atari-net of the SC2LE
paper. What is seen is one stack of planes: screen, minimap, and each number about the player.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, choose
from tasks.rl.environments.singles import Frame, Unsavable

MISSING = (
    "StarCraft II needs pysc2, in an environment of its own as it pins an old protobuf (pip "
    "install -e '.[rl,sc2]'), and the game with its mini-game maps: "
    "github.com/Blizzard/s2client-proto, folder ~/StarCraftII or SC2PATH"
)
MAPS = (  # the paper's six of table 3, and MoveToBeacon, which it leaves out
    "BuildMarines",
    "CollectMineralShards",
    "CollectMineralsAndGas",
    "DefeatRoaches",
    "DefeatZerglingsAndBanelings",
    "FindAndDefeatZerglings",
    "MoveToBeacon",
)
SIZE = 64  # of screen and minimap


class StarCraft(Unsavable):
    """A mini-game with 64x64 layers; one action for eight game steps.

    Args:
        map_name: one of `MAPS`.
        game: what makes the environment with pysc2's keywords; None for the real game.

    Raises:
        ValueError: no such map, with the nearest one.
        ImportError: pysc2 is not installed; how to get it, and the game.
    """

    def __init__(self, map_name: str, game: Any = None) -> None:
        choose(map_name, MAPS, "mini-game")
        env, features = _pysc2()
        self.make = game or env.SC2Env
        self.env, self.map_name = env, map_name
        interface = env.AgentInterfaceFormat(
            feature_dimensions=env.Dimensions(screen=SIZE, minimap=SIZE)
        )
        self.interface = interface
        self.scales = np.array(
            [layer.scale for layer in (*features.SCREEN_FEATURES, *features.MINIMAP_FEATURES)],
            np.float32,
        )[:, None, None]
        self.game = self._open()
        self.functions = self.game.action_spec()[0]
        planes = len(self.scales) + len(features.Player)
        heads, self.places = _heads(self.functions)
        uses = tuple(
            tuple(part for argument in function.args for part in self.places[argument.id])
            for function in self.functions.functions
        )
        self.spec = Spec(shape=(planes, SIZE, SIZE), heads=heads, uses=uses, masked=True)

    def _open(self) -> Any:
        """Start the game."""
        try:
            return self.make(
                map_name=self.map_name,
                players=[self.env.Agent(self.env.Race.terran)],
                agent_interface_format=self.interface,
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}. {MISSING}") from error

    def reset(self, seed: int) -> Frame:
        """Begin an episode. The game takes no seed for one: it cannot be repeated exactly."""
        return self._look(self.game.reset()[0])

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Call the function with its arguments."""
        from pysc2.lib import actions

        function = self.functions.functions[int(action[0])]
        arguments = [
            [int(action[part]) for part in self.places[argument.id]] for argument in function.args
        ]
        return self._look(self.game.step([actions.FunctionCall(function.id, arguments)])[0])

    def _look(self, step: Any) -> Frame:
        seen = step.observation
        layers = np.concatenate((seen["feature_screen"], seen["feature_minimap"])) / self.scales
        player = np.log1p(np.maximum(np.asarray(seen["player"], np.float32), 0))
        flat = np.broadcast_to(player[:, None, None], (len(player), SIZE, SIZE))
        available = np.zeros(self.spec.heads[0], np.bool_)
        available[np.asarray(seen["available_actions"])] = True
        planes = np.concatenate((layers.astype(np.float32), flat))
        # A player's result makes the discount 0, and a mini-game's clock ends it by one: it cannot
        # be told from another end. A limit of pysc2's own would leave 1; these maps have none.
        over = bool(step.last()) and float(step.discount) == 0
        return Frame(
            planes, float(step.reward or 0), over, bool(step.last()) and not over, available
        )

    def close(self) -> None:
        """End the game."""
        self.game.close()


def _heads(spec: Any) -> tuple[tuple[int, ...], dict[int, tuple[int, ...]]]:
    """Return the sizes of all parts of an action, and which parts each type of argument fills."""
    sizes, places = [len(spec.functions)], dict[int, tuple[int, ...]]()
    for kind in spec.types:
        places[kind.id] = tuple(range(len(sizes), len(sizes) + len(kind.sizes)))
        sizes += [int(size) for size in kind.sizes]
    return tuple(sizes), places


def _pysc2() -> tuple[Any, Any]:
    """Import pysc2, which as of 4.0 needs a helper: Python 3.11's shuffle takes no function."""
    try:
        import random

        from pysc2.lib import colors

        def shuffled_hue(scale: int) -> Any:
            palette = list(colors.smooth_hue_palette(scale))
            random.Random(21).shuffle(palette)  # of a picture for people only
            return np.array(palette)

        colors.shuffled_hue = shuffled_hue
        from absl import flags
        from pysc2.env import sc2_env
        from pysc2.lib import features
    except ImportError as error:
        raise ImportError(MISSING) from error
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["pysc2"])
    return sc2_env, features
