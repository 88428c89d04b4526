"""Of several variants one is released: the nearest of the best."""

from tasks.evalspecs import FidelityReport
from tests.support.evaluations import FAIL, HOLD, PASS, a_divergence, an_evaluation


def away(mean_kl: float) -> FidelityReport:
    """Return predictions on questions that are so far away."""
    return FidelityReport(text=a_divergence(mean_kl=9.0), prompts=a_divergence(mean_kl=mean_kl))


def test_the_best_and_the_worst_verdict_are_told_apart() -> None:
    """A run comes to its best, `evaluate` to its worst."""
    mixed = an_evaluation({"a": HOLD, "b": FAIL, "c": PASS, "d": None})

    assert (mixed.best, mixed.worst) == ("pass", "fail")
    assert an_evaluation({"a": HOLD, "b": FAIL}).best == "hold"


def test_what_was_not_judged_has_no_verdict() -> None:
    """Held-out text alone releases nothing."""
    unjudged = an_evaluation({"a": None})

    assert (unjudged.best, unjudged.worst, unjudged.chosen) == (None, None, None)


def test_the_nearest_of_the_best_is_chosen() -> None:
    """The KL divergence on questions decides; who was not measured comes last."""
    near = {"held": away(0.01), "far": away(0.3), "near": away(0.2)}
    verdicts = {"unmeasured": PASS, "held": HOLD, "far": PASS, "near": PASS}

    assert an_evaluation(verdicts, fidelity=near).chosen == "near"


def test_where_there_are_no_questions_text_decides() -> None:
    """It was all that was compared."""
    texts = {name: FidelityReport(text=a_divergence(mean_kl=kl)) for name, kl in
             (("far", 0.3), ("near", 0.2))}  # fmt: skip

    assert an_evaluation({"far": HOLD, "near": HOLD}, fidelity=texts).chosen == "near"
