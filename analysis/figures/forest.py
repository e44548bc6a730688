"""The phylogenetic forest of a run: the paper's figure 6."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.data.columns import Columns, Floats, Ints
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of, what_copies_take
from analysis.figures.scores import limits
from analysis.figures.style import BLUE, PINK, WIDTH, YELLOW, lighten

DEAD_ENDS = 600  # nodes of the largest forest that also shows branches that died out
ROUNDS = 40_000  # iterations of the layout times nodes, so that large trees take no longer
GAP = 1.2  # between two trees; an edge is about 1 long
SHAPE = 1.5  # width of the page over its height
SMALL = 6  # nodes of the largest tree that is enlarged beside a large one
LARGEST = 20.0  # length of the largest tree, in edges, from which on small ones are enlarged
PIECES = 8  # of one colour each, in an edge
SCORES = LinearSegmentedColormap.from_list("scores", ["#000000", "#0033cc", "#00d5e5"])


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return the phylogenetic forest of a run. Drawn if weights were copied in it."""
    if not len(run.columns.copies()) or not run.columns.weights:
        return None
    found = forest(run.columns)
    left = ""
    if found.extinct:
        left = f" {found.extinct} nodes of branches that died out are left out."
    return drawing_of(
        [run],
        name=f"forest_{name}",
        title=f"Phylogeny of {name}",
        caption="Circles are initial members, squares final ones; an edge is the way of weights "
        "through the training, its colour the score on the way, from black to cyan; it "
        f"branches where they were copied. Lengths mean nothing.{left}{what_copies_take(run)}",
        size=(WIDTH, 5),
        draw=lambda figure: draw_forest(figure, run, found),
    )


@dataclass(frozen=True, slots=True)
class Forest:
    """The paths of the weights through a run, as trees.

    A node is a row of the columns: a start, a row from which several paths go on, or an end.

    starts: the nodes where a member began, or where the path before is unknown.
    ends: the nodes where a member is now.
    edges: by a node and a later one, the rows of the path between them, including both.
    extinct: the number of nodes that lead to no end and are left out; 0 if all are shown.
    """

    starts: Ints
    ends: Ints
    edges: Mapping[tuple[int, int], Ints]
    extinct: int

    def trees(self) -> list[nx.DiGraph]:
        """Return the trees, the largest first; the root of each is its start."""
        graph = nx.DiGraph()
        graph.add_nodes_from(map(int, self.starts))
        graph.add_edges_from(sorted(self.edges))
        parts = sorted(
            nx.weakly_connected_components(graph), key=lambda part: (-len(part), min(part))
        )
        return [graph.subgraph(sorted(part)).copy() for part in parts]


def forest(columns: Columns, most: int = DEAD_ENDS) -> Forest:
    """Return the forest of a run; with more than `most` nodes, without branches that died out."""
    before, ends = columns.before(), columns.last()
    kept = np.ones(len(before), dtype=np.bool_)
    nodes = _nodes(before, ends, kept)
    everything = len(nodes)
    if everything > most:
        kept[:] = False
        kept[ends] = True
        at = np.unique(before[ends])
        while len(at := at[at >= 0]):
            at = at[~kept[at]]
            kept[at] = True
            at = np.unique(before[at])
        nodes = _nodes(before, ends, kept)
    is_node = np.zeros(len(before), dtype=np.bool_)
    is_node[nodes] = True
    edges = {}
    for node in nodes:
        way = [int(node)]
        while (row := int(before[way[-1]])) >= 0:
            way.append(row)
            if is_node[row]:
                break
        if len(way) > 1:
            edges[way[-1], way[0]] = np.array(way[::-1], dtype=np.int64)
    starts = nodes[before[nodes] < 0]
    return Forest(starts, ends, edges, everything - len(nodes))


def _nodes(before: Ints, ends: Ints, kept: NDArray[np.bool_]) -> Ints:
    """Return the rows that are a start, an end, or lead to several rows or none."""
    goes_on = before[kept & (before >= 0)]
    children = np.bincount(goes_on, minlength=len(before))
    nodes = (before < 0) | (children != 1)
    nodes[ends] = True
    return np.flatnonzero(nodes & kept)


def layout(tree: nx.DiGraph) -> dict[int, Floats]:
    """Return where to draw each node of a tree: the same for the same tree.

    Forces pull the ends of an edge together and push all nodes apart. They start from a layout
    around the root in which no branches cross, so that few cross in the end.
    """
    if len(tree) == 1:
        return {node: np.zeros(2) for node in tree}
    found = nx.spring_layout(
        tree.to_undirected(), pos=_around(tree), k=1.0, weight=None, scale=None, method="force",
        seed=0, iterations=max(20, min(100, ROUNDS // len(tree))),
    )  # fmt: skip
    return {int(node): np.asarray(place) for node, place in found.items()}


def _around(tree: nx.DiGraph) -> dict[int, Floats]:
    """Return a place for each node; its distance from the root is the number of edges between."""
    [root] = (node for node, degree in tree.in_degree() if degree == 0)
    order = [root, *(node for _, node in nx.bfs_edges(tree, root))]
    children = {node: list(tree.successors(node)) for node in order}
    leaves: dict[int, int] = {}
    for node in reversed(order):
        leaves[node] = sum(leaves[child] for child in children[node]) or 1
    begin, depth = {root: 0.0}, {root: 0}
    for node in order:
        at = begin[node]
        for child in sorted(children[node], key=lambda child: (leaves[child], child)):
            begin[child], depth[child] = at, depth[node] + 1
            at += leaves[child]
    share = 2 * np.pi / leaves[root]
    middles = {node: share * (begin[node] + leaves[node] / 2) for node in order}
    return {n: depth[n] * np.array([np.cos(middles[n]), np.sin(middles[n])]) for n in order}


def places(trees: Sequence[nx.DiGraph], shape: float = SHAPE) -> dict[int, Floats]:
    """Return where to draw each node of all trees, so that they fill a page.

    Args:
        shape: the width of the page over its height.
    """
    drawn = [_lying(tree) for tree in trees]
    reach = max(float(np.ptp(xy, axis=0).max(initial=0.0)) for _, xy in drawn)
    boxes = []
    for nodes, xy in drawn:
        # beside a large tree, a small one would be a speck; lengths have no meaning
        xy = xy * (max(1.0, reach / LARGEST) if len(nodes) <= SMALL else 1.0)
        gap = GAP * max(1.0, reach / LARGEST)
        corner = xy.min(axis=0) - gap / 2
        boxes.append((nodes, xy - corner, xy.max(axis=0) + gap / 2 - corner))
    sizes = np.array([size for _, _, size in boxes])
    found: dict[int, Floats] = {}
    for (nodes, xy, _), corner in zip(boxes, _packed(sizes, shape), strict=True):
        found |= dict(zip(nodes, xy + corner, strict=True))
    return found


def _lying(tree: nx.DiGraph) -> tuple[list[int], Floats]:
    """Return the nodes of a tree and their places: wider than high, the root not on the right."""
    nodes = layout(tree)
    xy = np.array(list(nodes.values()))
    xy = xy - xy.mean(axis=0)
    _, _, axes = np.linalg.svd(xy, full_matrices=True)
    xy = xy @ axes.T
    [root] = (node for node, degree in tree.in_degree() if degree == 0)
    return list(nodes), xy * np.where(xy[list(nodes).index(root)] > 0, -1.0, 1.0)


def _packed(sizes: Floats, shape: float) -> Floats:
    """Return [boxes, 2] the lower left corner of each box.

    Several widths of the page are tried, and the one that draws the boxes largest is taken.
    """
    width, area = float(sizes[:, 0].max()), float(sizes.prod(axis=1).sum())
    least = max(width, (shape * area) ** 0.5)
    best, reach = np.zeros_like(sizes), np.inf
    for wide in dict.fromkeys((width, *(least * more for more in (1.0, 1.15, 1.3, 1.5)))):
        corners = _in_width(sizes, max(wide, width))
        extent = (corners + sizes).max(axis=0)
        if (needed := max(extent[0] / shape, extent[1])) < reach:
            best, reach = corners, needed
    return best


def _in_width(sizes: Floats, width: float) -> Floats:
    """Return corners of boxes, each put as low and then as far left as those before allow."""
    edge = [(0.0, 0.0)]  # x, and the height that is filled from there to the next x
    corners = []
    for wide, high in sizes.tolist():
        spots = []
        for i, (x, _) in enumerate(edge):
            if x + wide <= width * (1 + 1e-9):
                under = [y for x2, y in edge[i:] if x2 < x + wide - 1e-9]
                spots.append((max(under), x))
        y, x = min(spots)
        corners.append((x, y))
        last = next(top for left, top in reversed(edge) if left <= x + wide + 1e-9)
        edge = [at for at in edge if at[0] < x - 1e-9 or at[0] > x + wide + 1e-9]
        edge = sorted([*edge, (x, y + high), (x + wide, last)])
    return np.array(corners)


def draw_forest(figure: Figure, run: RunData, found: Forest) -> None:
    """Draw the forest of a run: starts pink and round, ends blue and square, edges by score."""
    ax = figure.add_subplot()
    at = places(found.trees())
    pieces, scores = _pieces(run.columns, found, at)
    low, high = _colours(run, scores)
    edges = LineCollection(
        list(pieces), array=scores, cmap=SCORES, norm=Normalize(low, high), zorder=1
    )
    size = len(at)
    edges.set_linewidth(1.2 if size < 300 else 0.7)
    edges.set_capstyle("round")
    lighten(edges, len(pieces) // PIECES // 4)
    ax.add_collection(edges)
    dot = float(np.clip(6000 / size, 4, 30))
    lost = run.columns.origin_lost[found.starts]
    for nodes, label, colour, marker, area, order in (
        (found.ends, "final members", BLUE, "s", dot, 3),
        (found.starts[~lost], "initial members", PINK, "o", max(1.6 * dot, 20.0), 4),
        (found.starts[lost], "copies of a lost record", YELLOW, "^", max(1.6 * dot, 20.0), 5),
    ):
        if not len(nodes):
            continue
        xy = np.array([at[int(node)] for node in nodes]).reshape(-1, 2)
        drawn = ax.scatter(xy[:, 0], xy[:, 1], area, color=colour, marker=marker, label=label)
        drawn.set(edgecolor="black", linewidth=0.3 if dot > 6 else 0, zorder=order)
        lighten(drawn, len(nodes) // 4)
    ax.set_axis_off()
    ax.margins(0.02)
    ax.autoscale_view()  # each axis on its own, to the ends of the page
    figure.legend(loc="outside lower left", ncols=3)
    bar = figure.colorbar(edges, ax=ax, shrink=0.8, aspect=30, pad=0.01)
    bar.set_label(run.score)


def _colours(run: RunData, scores: Floats) -> tuple[float, float]:
    """Return the scores at both ends of the scale of colours, within the scores that are drawn."""
    there = scores[np.isfinite(scores)]
    if not len(there):
        return 0.0, 1.0
    low, high = max(float(there.min()), limits([run])[0]), float(there.max())
    return (low, high) if low < high else (high - 0.5, high + 0.5)


def _pieces(
    columns: Columns, found: Forest, at: Mapping[int, Floats]
) -> tuple[NDArray[np.float64], Floats]:
    """Return [pieces, 2, 2] the edges in pieces, and [pieces] the mean score of each."""
    lines, scores = [], []
    for (a, b), rows in found.edges.items():
        number = min(PIECES, len(rows) - 1)
        marks = np.linspace(0, 1, number + 1)[:, None]
        points = at[a] + marks * (at[b] - at[a])
        lines += [points[i : i + 2] for i in range(number)]
        values = columns.score[rows]
        values = values if np.isfinite(values).any() else np.full(len(rows), np.nan)
        scores += [
            _middle(values[part]) for part in np.array_split(np.arange(1, len(rows)), number)
        ]
    return np.array(lines).reshape(-1, 2, 2), np.array(scores)


def _middle(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else -np.inf  # diverged is worst: black
