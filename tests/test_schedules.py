"""The schedules: their formulas, and torch's."""

from __future__ import annotations

import math

import pytest

from portable_nn import schedules

pytestmark = pytest.mark.usefixtures("host_only")


def test_schedules_are_their_formulas():
    assert schedules.constant(0.1)(7) == 0.1
    assert schedules.step_decay(0.8, every=10, factor=0.5)(29) == 0.2
    assert schedules.inverse_time(0.1, rate=1.0, every=10)(35) == pytest.approx(0.1 / 4.5)
    assert schedules.step_decay(1e-3, every=1, factor=1e100)(9) == math.inf
    cosine = schedules.cosine(0.2, steps=100, final=0.1)
    assert [cosine(0), cosine(50), cosine(100), cosine(500)] == pytest.approx([0.2, 0.15, 0.1, 0.1])
    cycle = schedules.one_cycle(1.0, steps=100)
    assert [cycle(0), cycle(30), cycle(100)] == pytest.approx([1 / 25, 1.0, 1e-4])
    assert all(cycle(s) < cycle(s + 1) for s in range(30))
    assert all(cycle(s) > cycle(s + 1) for s in range(30, 100))


def test_the_cosine_schedule_is_torchs(torch):
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=50, eta_min=0.01)
    ours = schedules.cosine(0.3, steps=50, final=0.01)
    for step in range(50):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        sgd.step()
        theirs.step()


def test_four_waves_fall_to_zero_where_the_formula_says():
    waves = schedules.coslog4(0.2, steps=1500)
    assert [waves(step) for step in (0, 100, 300, 700, 1500, 9999)] == pytest.approx(
        [0.0] * 6, abs=1e-15
    )
    tops = [round(100 * (2**k * math.sqrt(2) - 1)) for k in range(4)]  # log2(1 + 15 t) is k and a half
    assert [waves(step) for step in tops] == pytest.approx([0.2] * 4, rel=1e-3)
    assert schedules.coslog4([1.0, 2.0], steps=2)(1) == pytest.approx([0.0736189, 0.1472379], rel=1e-5)


def test_the_cosine_with_a_warm_up_goes_up_along_a_line_and_down_as_the_cosine_does():
    both = schedules.warm_up_cosine(0.2, steps=120, warm_up=20, start=0.1, final=0.02)
    down = schedules.cosine(0.2, steps=100, final=0.02)
    assert [both(step) for step in (0, 10, 19)] == pytest.approx([0.1, 0.15, 0.195])
    assert [both(step) for step in range(20, 200)] == [down(step - 20) for step in range(20, 200)]
    assert schedules.warm_up_cosine(0.2, 5, 0)(0) == 0.2


def test_the_cosine_with_a_warm_up_is_that_of_optax():
    optax = pytest.importorskip("optax", reason="optax is not installed")
    theirs = optax.warmup_cosine_decay_schedule(0.0, 0.3, 7, 50, 0.01)
    ours = schedules.warm_up_cosine(0.3, steps=50, warm_up=7, final=0.01)
    for step in range(60):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.constant(-1.0),
        lambda: schedules.step_decay(0.1, every=0),
        lambda: schedules.step_decay(0.1, every=2, factor=0.0),
        lambda: schedules.inverse_time(0.1, rate=-1),
        lambda: schedules.cosine(0.1, steps=0),
        lambda: schedules.cosine(math.nan, steps=3),
        lambda: schedules.warm_up_cosine(0.1, steps=10, warm_up=10),
        lambda: schedules.warm_up_cosine(0.1, steps=10, warm_up=-1),
        lambda: schedules.warm_up_cosine(0.1, steps=10, warm_up=2, start=-0.1),
        lambda: schedules.coslog4(0.1, steps=0),
        lambda: schedules.coslog4(-0.1, steps=9),
        lambda: schedules.one_cycle(0.1, steps=10, rise=1.0),
        lambda: schedules.one_cycle(0.1, steps=2.5),
    ],
)
def test_a_schedule_outside_its_range_is_refused(make):
    with pytest.raises((TypeError, ValueError), match="accepted"):
        make()
