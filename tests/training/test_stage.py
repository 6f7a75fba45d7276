"""The loop of one training stage."""

import pytest
import torch

from training.stage import Stage, follow, schedule, train

STAGE = Stage(name="line", images=160, batch=8, rate=0.05, half_life=40, every=80)


def batches(seen, size):
    x = torch.rand(size, 1, generator=torch.Generator().manual_seed(seen))
    return {"x": x, "y": 3 * x - 1}


def run(folder, stage=STAGE, batches=batches):
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)

    def loss(batch):
        error = (model(batch["x"]) - batch["y"]).square().mean()
        return error, {"error": error}

    return model, train(stage, model, loss, batches, folder)


def test_the_loss_falls(tmp_path):
    """A line is learnt."""
    model, _ = run(tmp_path, Stage(name="line", images=4000, batch=8, rate=0.05))
    batch = batches(10**6, 64)
    assert (model(batch["x"]) - batch["y"]).abs().mean() < 0.05


def test_a_run_that_stopped_goes_on_bit_for_bit(tmp_path):
    """Stopping at a checkpoint and starting again by the same call ends with the same weights."""
    whole, whole_average = run(tmp_path / "whole")
    calls = 0

    def stopping(seen, size):
        nonlocal calls
        calls += 1
        if calls == 13:
            raise KeyboardInterrupt
        return batches(seen, size)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", batches=stopping)
    resumed, resumed_average = run(tmp_path / "halves", batches=stopping)
    assert calls == 13 + 10
    for one, other in ((whole, resumed), (whole_average, resumed_average)):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )


def test_the_average_follows_by_the_share_that_it_does_not_keep():
    """keep 0.75 moves a quarter of the way."""
    average, model = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(average.weight)
    torch.nn.init.ones_(model.weight)
    follow(average, model, 0.75)
    assert average.weight.item() == pytest.approx(0.25)


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    """Training does not go on with NaN; it says so."""
    model = torch.nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        train(STAGE, model, lambda batch: (model(batch["x"]).sum() * torch.nan, {}), batches, tmp_path)


def test_the_rate_rises_then_falls_to_nothing():
    """Warm-up to the peak, half a cosine to zero."""
    assert schedule(0) < 0.05 and schedule(0.02) > 0.99 and schedule(1) == pytest.approx(0)
