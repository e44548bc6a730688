"""The agents: each loss against a slow reference written from its equation, and each learns."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tasks.rl.agents import unreal
from tasks.rl.agents.a2c import A2C, actor_critic
from tasks.rl.agents.fun import DilatedLSTM, FuN
from tasks.rl.agents.networks import over_time
from tasks.rl.agents.policy import Policy
from tasks.rl.agents.replay import Replay
from tasks.rl.agents.rmsprop import RMSProp
from tasks.rl.agents.rollout import Rollout, Seen, returns
from tasks.rl.agents.unreal import UNREAL
from tasks.rl.environments.batch import Spec

T, N, A = 12, 3, 4
VECTOR = Spec(shape=(5,), heads=(A,))
PICTURE = Spec(shape=(2, 24, 24), heads=(A,), pixels=True)


def _rollout(spec: Spec = VECTOR, steps: int = T, seed: int = 0) -> Rollout:
    """Return random steps in which episodes end both ways, each followed by its reset."""
    rng = torch.Generator().manual_seed(seed)
    ended = torch.zeros(steps, N, dtype=torch.bool)
    terminated, truncated = ended.clone(), ended.clone()
    terminated[3, 0] = truncated[5, 1] = terminated[steps - 1, 2] = True
    over = terminated | truncated
    first = torch.cat((torch.zeros(2, N, dtype=torch.bool), over[:-1]))[: steps + 1]
    shape = (steps + 1, N, *spec.shape)
    if spec.pixels:
        seen = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    else:
        seen = torch.randn(shape, generator=rng)
    actions = torch.randint(0, A, (steps, N, 1), generator=rng)
    rewards = torch.randn(steps, N, generator=rng)
    last = torch.cat((torch.zeros(1, N, 1, dtype=torch.long), actions))
    paid = torch.cat((torch.zeros(1, N), rewards))
    moments = Seen(seen, first, last * ~first.unsqueeze(-1), paid * ~first)
    return Rollout(moments, (), actions, rewards, terminated, truncated, ~first[1:])


def _return(
    rollout: Rollout, rewards: Tensor, values: Tensor, discount: float, t: int, n: int
) -> float:
    """Return R_t of environment n, forwards: Σ γ^k r, and the value at the end if there is one."""
    total, weight = 0.0, 1.0
    for k in range(t, len(rewards)):
        total += weight * float(rewards[k, n])
        weight *= discount
        if rollout.terminated[k, n]:
            return total
        if rollout.truncated[k, n]:
            return total + weight * float(values[k + 1, n])
    return total + weight * float(values[-1, n])


def test_returns_are_the_sums_of_the_equation() -> None:
    """Over both kinds of ends and to the end of the rollout."""
    rollout = _rollout()
    values = torch.randn(T + 1, N, generator=torch.Generator().manual_seed(1))

    found = returns(rollout, rollout.rewards, values, 0.9)

    for t in range(T):
        for n in range(N):
            expected = _return(rollout, rollout.rewards, values, 0.9, t, n)
            assert float(found[t, n]) == pytest.approx(expected, abs=1e-5)


def test_the_actor_critic_loss_is_that_of_the_equation() -> None:
    """-log π (R - V) - β H + ½ (R - V)², without the resets, and its gradient."""
    rollout = _rollout()
    rng = torch.Generator().manual_seed(2)
    logits = torch.randn(T, N, A, generator=rng, requires_grad=True)
    values = torch.randn(T, N, generator=rng, requires_grad=True)
    goal = torch.randn(T, N, generator=rng)

    fast = actor_critic(Policy(VECTOR), rollout, logits, goal, values, 0.3)
    slow = torch.zeros(())
    for t in range(T):
        for n in range(N):
            if t and (rollout.terminated[t - 1, n] or rollout.truncated[t - 1, n]):
                continue
            chances = logits[t, n].exp() / logits[t, n].exp().sum()
            entropy = -(chances * chances.log()).sum()
            gap = goal[t, n] - values[t, n]
            chosen = chances[rollout.actions[t, n, 0]].log()
            slow = slow - chosen * gap.detach() - 0.3 * entropy + 0.5 * gap**2
    slow = slow / N

    torch.testing.assert_close(fast, slow)
    for a, b in zip(
        torch.autograd.grad(fast, (logits, values)),
        torch.autograd.grad(slow, (logits, values)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cells", [0, 6])
def test_the_whole_loss_is_that_of_one_pass_over_all_moments(cells: int) -> None:
    """What follows the last step gives a value, seen with the memory of before; no gradient."""
    torch.manual_seed(0)
    agent, rollout = A2C(VECTOR, cells=cells), _rollout()
    memory = tuple(torch.randn(N, cells) for _ in range(2)) if cells else ()
    rollout = replace(rollout, memory=memory)

    x, _ = agent.features(rollout.seen, memory)
    values = agent.critic(x).squeeze(-1)
    goal = returns(rollout, rollout.rewards, values.detach(), agent.discount)
    slow = actor_critic(agent.policy, rollout, agent.actor(x)[:-1], goal, values[:-1], 0.3)
    fast = agent.loss(rollout, {"entropy_cost": 0.3}, torch.Generator())

    torch.testing.assert_close(fast, slow)
    parameters = list(agent.parameters())
    for a, b in zip(
        torch.autograd.grad(fast, parameters), torch.autograd.grad(slow, parameters), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_an_lstm_forgets_where_an_episode_begins_and_nowhere_else() -> None:
    """A sequence in one piece is the same as in two with its state handed over."""
    cell = nn.LSTMCell(5, 4)
    inputs = torch.randn(T, N, 5)
    first = torch.zeros(T, N, dtype=torch.bool)
    first[6, 1] = True
    zeros = torch.zeros(N, 4)

    whole, _ = over_time(cell, inputs, first, (zeros, zeros))
    begin, memory = over_time(cell, inputs[:5], first[:5], (zeros, zeros))
    end, _ = over_time(cell, inputs[5:], first[5:], memory)
    fresh, _ = over_time(cell, inputs[6:, 1:2], first[6:, 1:2], (zeros[:1], zeros[:1]))

    torch.testing.assert_close(torch.cat((begin, end)), whole)
    torch.testing.assert_close(fresh, whole[6:, 1:2])
    assert not torch.allclose(
        whole[6:, 0], over_time(cell, inputs[6:], ~first[6:], memory)[0][:, 0]
    )


@pytest.mark.parametrize(
    "make", [lambda: A2C(VECTOR, cells=6), lambda: FuN(VECTOR, cells=6, horizon=3)]
)
def test_to_act_step_by_step_is_to_see_all_at_once(make: object) -> None:
    """The logits that the loss is of are those that were acted by, whatever the unroll's length."""
    torch.manual_seed(0)
    agent = make()  # type: ignore[operator]
    seen, memory, slow = _rollout().seen, agent.begin(N), []

    for t in range(T + 1):
        logits, memory = agent.act(seen.part(t, t + 1), memory)
        slow.append(logits)
    if isinstance(agent, FuN):
        fast = agent._run(seen, agent.begin(N)).logits
    else:
        fast = agent.actor(agent.features(seen, agent.begin(N))[0])

    torch.testing.assert_close(torch.stack(slow), fast)


def test_the_dilated_lstm_is_r_lstms_that_take_turns() -> None:
    """Against a loop that keeps one state for each group and updates t mod r."""
    torch.manual_seed(0)
    lstm = DilatedLSTM(5, 4, 3)
    x = torch.randn(8, 1, 5)
    h = c = torch.zeros(1, 3, 4)
    groups = [(torch.zeros(1, 4), torch.zeros(1, 4)) for _ in range(3)]

    for t in range(8):
        fast, h, c = lstm(x[t], h, c, torch.tensor([t]))
        groups[t % 3] = lstm.cell(x[t], groups[t % 3])
        slow = sum((group[0] for group in groups), torch.zeros(1, 4)) / 3
        torch.testing.assert_close(fast, slow)


def _cos(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / max(float(a.norm() * b.norm()), 1e-8))


def test_the_intrinsic_reward_is_the_mean_cosine_of_the_equation() -> None:
    """1/c Σ cos(s_t - s_{t-i}, g_{t-i}), of the present episode."""
    c, d = 3, 5
    fun = FuN(VECTOR, cells=d, horizon=c)
    rng = torch.Generator().manual_seed(3)
    states = torch.randn(c + T, N, d, generator=rng)
    goals = torch.randn(c + T, N, d, generator=rng)
    ages = (torch.arange(T).view(-1, 1) - torch.tensor([0, 4, -7])).clamp(min=0).float()

    found = fun.intrinsic(states, goals, ages)

    for t in range(T):
        for n in range(N):
            terms = [
                _cos(states[c + t, n] - states[c + t - i, n], goals[c + t - i, n])
                for i in range(1, c + 1)
                if ages[t, n] >= i
            ]
            assert float(found[t, n]) == pytest.approx(sum(terms) / c, abs=1e-5)


def test_the_manager_follows_the_transition_policy_gradient() -> None:
    """-A cos(s_{t+c} - s_t, g_t) + ½ (R - V)², over horizons within one episode."""
    torch.manual_seed(0)
    fun, rollout = FuN(VECTOR, cells=6, horizon=3), _rollout()
    run = fun._run(rollout.seen, fun.begin(N))

    fast = fun._manager_loss(rollout, run).detach()
    values = fun.manager_critic(run.pooled).squeeze(-1).detach()
    slow, horizons = 0.0, 0
    for t in range(T):
        for n in range(N):
            if not rollout.valid[t, n]:
                continue
            gap = _return(rollout, rollout.rewards, values, 0.99, t, n) - float(values[t, n])
            slow += 0.5 * gap**2
            if t + 3 <= T and not rollout.seen.first[t + 1 : t + 4, n].any():
                moved = (run.states[t + 3, n] - run.states[t, n]).detach()
                slow -= gap * _cos(moved, run.goals[t, n].detach())
                horizons += 1

    assert 10 < horizons < T * N
    assert float(fast) == pytest.approx(slow / N, rel=1e-4)


def test_the_workers_loss_is_that_of_its_equations() -> None:
    """Logits along the goals of c moments, paid for arriving; over the ends of episodes."""
    torch.manual_seed(0)
    c, fun = 3, FuN(VECTOR, cells=6, horizon=3)
    rollout = replace(_rollout(), memory=fun.begin(N))
    hypers = {"intrinsic_cost": 0.7, "entropy_cost": 0.3}

    with torch.no_grad():
        run = fun._run(rollout.seen, rollout.memory)
        whole = fun.loss(rollout, hypers, torch.Generator())
        fast = float(whole - fun._manager_loss(rollout, run))
        values = fun.worker_critic(run.worker).squeeze(-1)
        rewards = rollout.rewards.clone()
        begins = [
            [max([0, *(s for s in range(t + 1) if rollout.seen.first[s, n])]) for n in range(N)]
            for t in range(T + 1)
        ]
        for t in range(T):
            for n in range(N):
                came = range(t, max(begins[t + 1][n], t + 1 - c) - 1, -1)
                moved = [
                    _cos(run.states[t + 1, n] - run.states[s, n], run.goals[s, n]) for s in came
                ]
                rewards[t, n] += 0.7 * sum(moved) / c
        slow = 0.0
        for t in range(T):
            for n in range(N):
                if not rollout.valid[t, n]:
                    continue
                goals = run.goals[max(begins[t][n], t - c + 1) : t + 1, n].sum(0)
                options = fun.options(run.worker[t, n]).view(A, -1)
                chances = (options @ fun.phi(goals)).softmax(0)
                gap = _return(rollout, rewards, values, 0.95, t, n) - float(values[t, n])
                entropy = -float((chances * chances.log()).sum())
                chosen = math.log(float(chances[rollout.actions[t, n, 0]]))
                slow += -chosen * gap - 0.3 * entropy + 0.5 * gap**2

    assert fast == pytest.approx(slow / N, rel=1e-4)


def test_no_gradient_of_the_worker_reaches_the_goals() -> None:
    """The manager's goals are its own: the worker sees them as given."""
    torch.manual_seed(0)
    fun = FuN(VECTOR, cells=6, horizon=3)
    run = fun._run(_rollout().seen, fun.begin(N))

    through = torch.autograd.grad(
        run.logits.sum(), list(fun.manager.parameters()), allow_unused=True
    )

    assert all(gradient is None for gradient in through)


def test_rmsprop_is_that_of_the_equation() -> None:
    """g ← α g + (1 - α) Δ²; θ ← θ - η Δ / √(g + ε), and the norm is limited."""
    layer = nn.Linear(3, 2)
    weights, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimizer = RMSProp(layer, limit=0.5, decay=0.9, epsilon=0.1)
    squares = torch.zeros(2, 3)

    for step in range(1, 4):
        x = torch.full((1, 3), float(step))
        optimizer.descend(layer(x).sum(), 0.05)
        gradient = torch.full((2, 3), float(step))
        norm = math.sqrt(6 * step**2 + 2)
        gradient = gradient * min(1.0, 0.5 / norm)
        squares = 0.9 * squares + 0.1 * gradient**2
        weights = weights - 0.05 * gradient / (squares + 0.1).sqrt()

    torch.testing.assert_close(layer.weight.detach(), weights)
    assert not torch.equal(layer.bias.detach(), bias)


def test_pixel_changes_are_means_over_regions() -> None:
    """20x20 regions of 4x4 in 84 pixels, the outer two left out."""
    pictures = torch.randint(0, 256, (3, 1, 2, 84, 84), dtype=torch.uint8)

    found = unreal.changes(pictures)

    assert found.shape == (2, 1, 20, 20)
    inner = pictures[:, 0, :, 2 + 4 * 3 : 2 + 4 * 4, 2 + 4 * 7 : 2 + 4 * 8].float() / 255
    torch.testing.assert_close(found[1, 0, 3, 7], (inner[2] - inner[1]).abs().mean())


def test_pixel_control_targets_are_n_step_q() -> None:
    """Each region on its own: changes, then max Q at the end of what is known."""
    rollout = _rollout(PICTURE)
    maps = torch.randn(T + 1, N, A, 6, 6, generator=torch.Generator().manual_seed(4))
    changes = unreal.changes(rollout.seen.observations)

    found = unreal.control_targets(rollout, maps)

    for t in range(T):
        for n in range(N):
            best = maps.max(2).values[:, :, 2, 5]
            expected = _return(rollout, changes[..., 2, 5], best, 0.9, t, n)
            assert float(found[t, n, 2, 5]) == pytest.approx(expected, abs=1e-5)


def test_the_losses_of_control_and_value_replay_are_squares() -> None:
    """½ Σ (Q - target)² of the actions taken, and ½ Σ (R - V)²."""
    torch.manual_seed(0)
    agent, rollout = UNREAL(PICTURE, cells=8), _rollout(PICTURE)
    x, _ = agent.features(rollout.seen, agent.begin(N))
    maps = torch.stack([agent.control_head(row) for row in x]).detach()
    goal = unreal.control_targets(rollout, maps)
    values = agent.values(rollout.seen, agent.begin(N)).detach()

    control = value = 0.0
    for t in range(T):
        for n in range(N):
            if rollout.valid[t, n]:
                chosen = maps[t, n, rollout.actions[t, n, 0]]
                control += 0.5 * float(((chosen - goal[t, n]) ** 2).sum())
                r = _return(rollout, rollout.rewards, values, 0.99, t, n)
                value += 0.5 * (r - float(values[t, n])) ** 2

    assert float(agent.control_loss(rollout).detach()) == pytest.approx(control / N, rel=1e-4)
    assert float(agent.value_loss(rollout).detach()) == pytest.approx(value / N, rel=1e-4)


def test_unreals_loss_is_the_weighted_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A3C's of the rollout, three of what was drawn; the last a cross entropy by hand."""
    torch.manual_seed(0)
    agent = UNREAL(PICTURE, cells=8, control=0.2, value=0.7, prediction=1.3)
    rollout, old = (replace(_rollout(PICTURE, seed=s), memory=agent.begin(N)) for s in (0, 1))
    looks = torch.randint(0, 256, (4, 3, *PICTURE.shape), dtype=torch.uint8)
    classes = torch.tensor([0, 1, 2, 1])
    monkeypatch.setattr(agent.replay, "draw", lambda steps, rng: old)
    monkeypatch.setattr(agent.replay, "before_rewards", lambda count, rng: (looks, classes))
    rng, hypers = torch.Generator(), {"entropy_cost": 0.3}

    with torch.no_grad():
        found = float(agent.loss(rollout, hypers, rng))
        parts = [float(part(old)) for part in (agent.control_loss, agent.value_loss)]
        own = float(A2C.loss(agent, rollout, hypers, rng))
        told = 0.0
        for look, sign in zip(looks, classes, strict=True):
            features = torch.cat([agent.torso.convolved(picture[None])[0] for picture in look])
            told -= math.log(float(agent.sign(features).softmax(0)[sign])) / 4

    assert min(*parts, told) > 1e-3
    assert found == pytest.approx(own + 0.2 * parts[0] + 0.7 * parts[1] + 1.3 * told, rel=1e-5)


def test_unreals_lstm_is_given_the_last_action_and_reward() -> None:
    """But not those of an episode that is over."""
    torch.manual_seed(0)
    agent, seen = UNREAL(PICTURE, cells=8), _rollout(PICTURE).seen.part(0, 1)
    begins = torch.ones(1, N, dtype=torch.bool)
    base, one = replace(seen, first=~begins), torch.ones_like(seen.actions)

    def features(moment: Seen) -> Tensor:
        return agent.features(moment, agent.begin(N))[0].detach()

    for other in (replace(base, actions=one), replace(base, rewards=seen.rewards + 1)):
        assert (features(other) != features(base)).any(-1).all()
    first = replace(seen, first=begins)
    torch.testing.assert_close(features(replace(first, actions=one)), features(first))


def test_a_replay_gives_back_what_was_recorded() -> None:
    """Successive moments, the oldest forgotten, and the action before each."""
    replay, rng = Replay(steps=20 * N), torch.Generator().manual_seed(0)
    for seed in range(4):
        replay.add(_rollout(steps=T, seed=seed))
    recorded = torch.cat([_rollout(seed=s).seen.observations[:-1] for s in range(4)])
    actions = torch.cat([_rollout(seed=s).actions for s in range(4)])

    assert len(replay) == 20
    for _ in range(20):
        old = replay.draw(6, rng)
        assert old is not None
        [at] = [t for t in range(4 * T) if torch.equal(recorded[t], old.seen.observations[0])]
        assert at > 4 * T - 20
        torch.testing.assert_close(old.seen.observations, recorded[at : at + 7])
        torch.testing.assert_close(old.actions, actions[at : at + 6])
        torch.testing.assert_close(
            old.seen.actions[1:], actions[at : at + 6] * ~old.seen.first[1:].unsqueeze(-1)
        )


def test_reward_prediction_is_drawn_half_and_half() -> None:
    """Before a reward and before none, three observations of one episode each."""
    rollout, replay = _rollout(), Replay(2000)
    rare = rollout.rewards * (torch.arange(T).view(-1, 1) == 9)
    replay.add(
        Rollout(
            rollout.seen,
            (),
            rollout.actions,
            rare,
            rollout.terminated,
            rollout.truncated,
            rollout.valid,
        )
    )

    drawn = replay.before_rewards(40, torch.Generator().manual_seed(0))

    assert drawn is not None
    looks, classes = drawn
    assert looks.shape == (40, 3, 5)
    assert int((classes != 0).sum()) == 20
    for look, sign in zip(looks, classes, strict=True):
        [(t, n)] = (rollout.seen.observations[:-1] == look[2]).all(-1).nonzero().tolist()
        torch.testing.assert_close(look, rollout.seen.observations[t - 2 : t + 1, n])
        assert int(sign) == {0.0: 0, 1.0: 1, -1.0: 2}[float(rare[t, n].sign())]


@pytest.mark.parametrize("reward", [1.0, 0.0])
def test_reward_prediction_of_rewards_of_one_kind_is_drawn_from_that(reward: float) -> None:
    """A game that pays at each step has no half without; of nothing at all nothing is drawn."""
    rollout, replay = _rollout(), Replay(2000)
    rng = torch.Generator().manual_seed(0)
    assert replay.before_rewards(40, rng) is None
    replay.add(replace(rollout, rewards=torch.full((T, N), reward)))

    drawn = replay.before_rewards(40, rng)

    assert drawn is not None
    assert drawn[0].shape == (40, 3, 5)
    assert drawn[1].tolist() == [int(reward)] * 40


def test_pixel_control_of_what_has_no_pixels_is_refused() -> None:
    """With what to do."""
    with pytest.raises(ValueError, match="set its weight to 0"):
        UNREAL(VECTOR, cells=8)


def test_an_action_of_several_parts_counts_those_that_its_function_uses() -> None:
    """And a function that is not available is never drawn."""
    spec = Spec(shape=(3,), heads=(3, 4, 5), uses=((), (1,), (1, 2)), masked=True)
    policy, rng = Policy(spec), torch.Generator().manual_seed(0)
    logits = torch.randn(2000, 12, generator=rng)
    available = torch.tensor([True, False, True]).expand(2000, 3)

    actions = policy.draw(logits, available, rng)
    chances, entropies = policy.look(logits, actions, available)

    assert set(actions[:, 0].tolist()) == {0, 2}
    parts: Mapping[int, Tensor] = {
        0: logits[:, :3].masked_fill(~available, -torch.inf).log_softmax(-1),
        1: logits[:, 3:7].log_softmax(-1),
        2: logits[:, 7:].log_softmax(-1),
    }
    for row in range(50):
        used = [0, *spec.uses[int(actions[row, 0])]]
        expected = sum(float(parts[part][row, actions[row, part]]) for part in used)
        assert float(chances[row]) == pytest.approx(expected, abs=1e-5)
        entropy = sum(
            -float((parts[part][row].exp() * parts[part][row].clamp(min=-1e9)).sum())
            for part in used
        )
        assert float(entropies[row]) == pytest.approx(entropy, abs=1e-4)


def test_draws_follow_the_probabilities() -> None:
    """A thousandfold, within five standard deviations."""
    policy, rng = Policy(VECTOR), torch.Generator().manual_seed(0)
    chances = torch.tensor([0.1, 0.2, 0.3, 0.4])

    actions = policy.draw(chances.log().expand(10_000, A), None, rng)

    share = torch.bincount(actions[:, 0], minlength=A) / 10_000
    assert float((share - chances).abs().max()) < 0.025
