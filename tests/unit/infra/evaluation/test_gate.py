"""The gate: each threshold on both sides of its edge, and what is said of it."""

import pytest

from infra.evaluation.comparison import compare
from infra.evaluation.gate import FidelityEvidence, Finding, GateSpec, Outcome, Verdict, judge
from infra.evaluation.verdict import AgainstInt4
from infra.evaluation.wording import MINUS
from tests.support.scores import (
    a_comparison,
    a_task,
    an_interval,
    by_name,
    single,
    yes_no,
)


def beside_int4(
    *, mean_kl: float = 0.02, int4: float = 0.03, times: tuple[float, float] = (0.4, 0.9)
) -> AgainstInt4:
    """Return how it compares with 4 bits on text, by default as a good 4-bit candidate does."""
    return AgainstInt4(on="text", mean_kl=mean_kl, mean_kl_int4=int4, times=an_interval(*times))


def evidence(
    *,
    mean_kl: float = 0.02,
    rtn: float | None = 0.03,
    less: tuple[float, float] = (-0.02, -0.005),
    last: float | None = None,
    is_rtn: bool = False,
    int4: tuple[AgainstInt4, ...] = (beside_int4(),),
) -> FidelityEvidence:
    """Return fidelity, by default clearly better than that of plain rounding."""
    return FidelityEvidence(
        mean_kl=mean_kl,
        mean_kl_rtn=rtn,
        kl_less_rtn=None if rtn is None else an_interval(*less),
        last_released_kl=last,
        is_round_to_nearest=is_rtn,
        against_int4=int4,
    )


def of(verdict: Verdict, check: str) -> Finding:
    """Return the finding of one check."""
    return next(finding for finding in verdict.reasons if finding.check == check)


def test_all_good_is_a_pass() -> None:
    """Nothing lost, and closer than plain rounding."""
    verdict = judge(a_comparison(), evidence(last=0.02))

    assert (verdict.outcome, {finding.outcome for finding in verdict.reasons}) == ("pass", {"pass"})


@pytest.mark.parametrize(
    ("bounds", "outcome", "meaning"),
    [
        ((-1.5, 0.5), "pass", "a greater loss is unlikely"),
        ((-1.51, 0.5), "hold", "a person decides"),
        ((-2.5, -1.5), "hold", "a person decides"),
        ((-2.5, -1.51), "fail", "the loss is greater"),
    ],
)
def test_the_average_is_judged_by_its_bounds(
    bounds: tuple[float, float], outcome: Outcome, meaning: str
) -> None:
    """Passed if a loss beyond the margin is excluded, failed if it is shown, else held."""
    verdict = judge(a_comparison(difference=-0.8, bounds=bounds), evidence())

    assert (verdict.outcome, of(verdict, "average").outcome) == (outcome, outcome)
    assert meaning in of(verdict, "average").words


def test_a_reason_names_what_was_measured_and_the_limit() -> None:
    """A person can judge the verdict without opening anything else."""
    verdict = judge(a_comparison(difference=-0.8, bounds=(-1.62, 0.03)), None)

    assert of(verdict, "average").words == (
        f"The average went from 80.00 to 79.20 ({MINUS}0.80 points, one-sided 95 % bounds "
        f"{MINUS}1.62 and +0.03); it may lose 1.5, so that a greater loss can be neither shown nor "
        "excluded: a person decides."
    )
    assert (of(verdict, "average").measured, of(verdict, "average").limit) == (-1.62, -1.5)


@pytest.mark.parametrize(
    ("after", "p_worse", "outcome", "meaning"),
    [
        (78.0, 0.001, "pass", "it may lose 2."),
        (77.9, 0.049, "fail", "chance can hardly explain it"),
        (77.9, 0.05, "pass", "but chance could explain it"),
        (85.0, 1.0, "pass", "+5.00 points"),
    ],
)
def test_a_benchmark_fails_if_its_drop_is_large_and_significant(
    after: float, p_worse: float, outcome: Outcome, meaning: str
) -> None:
    """A bound on each benchmark alone would refuse good releases by chance."""
    verdict = judge(a_comparison(a_task(after=after, p_worse=p_worse)), evidence())

    assert (verdict.outcome, of(verdict, "drop").outcome) == (outcome, outcome)
    assert meaning in of(verdict, "drop").words


@pytest.mark.parametrize(
    ("check", "after", "outcome"),
    [
        ("unreadable", 1.5, "pass"),
        ("unreadable", 1.6, "fail"),
        ("unreadable", 0.0, "pass"),
        ("capped", 1.5, "pass"),
        ("capped", 1.6, "fail"),
        ("yes share", 4.0, "pass"),
        ("yes share", 4.1, "fail"),
    ],
)
def test_shares_may_grow_by_so_much(check: str, after: float, outcome: Outcome) -> None:
    """From 1 % on: half a point more that cannot be read or ends too late, three more Yes."""
    task = a_task(sides={check.replace(" ", "_"): (1.0, after)})

    assert of(judge(a_comparison(task), evidence()), check).outcome == outcome


def test_the_share_of_yes_may_not_fall_either() -> None:
    """A model that says No to all is no better than one that says Yes."""
    verdict = judge(a_comparison(a_task(sides={"yes_share": (50.0, 46.9)})), evidence())

    assert verdict.outcome == "fail"
    assert verdict.decisive[0].words == (
        f"POPE: answers Yes went from 50.00 % to 46.90 % ({MINUS}3.10 points); at most 3 either "
        "way are allowed."
    )


def test_a_share_that_equals_its_limit_keeps_it() -> None:
    """1.1 - 0.6 is a hair more than 0.5 in floating point."""
    verdict = judge(a_comparison(a_task(sides={"unreadable": (0.6, 1.1)})), evidence())

    assert (1.1 - 0.6 > 0.5, verdict.outcome) == (True, "pass")


def test_no_share_of_yes_is_judged_where_there_is_none() -> None:
    """Multiple choice and open answers have no Yes."""
    one = by_name(single([1.0] * 10))

    checks = [finding.check for finding in judge(compare(one, one, resamples=9), None).reasons]

    assert "yes share" not in checks


@pytest.mark.parametrize(("flips", "outcome"), [((60, 60), "pass"), ((60, 61), "fail")])
def test_flips_are_limited(flips: tuple[int, int], outcome: Outcome) -> None:
    """Equal scores may hide one answer in eight that changed."""
    verdict = judge(a_comparison(a_task(flips=flips)), evidence())

    assert of(verdict, "flips").outcome == outcome
    assert (
        f"\N{DOWNWARDS ARROW}60 \N{UPWARDS ARROW}{flips[1]} of 1,000" in of(verdict, "flips").words
    )


def test_too_few_images_are_held() -> None:
    """From nine images a difference of 0 says little, and the interval does not show it."""
    held = judge(a_comparison(a_task(clusters=9)), evidence())
    passed = judge(a_comparison(a_task(clusters=10)), evidence())

    assert (held.outcome, held.decisive[0].check, passed.outcome) == ("hold", "clusters", "pass")


@pytest.mark.parametrize(
    ("less", "outcome", "meaning"),
    [
        ((-0.02, -0.001), "pass", "clearly less"),
        ((-0.02, 0.001), "hold", "not clearly less: a person decides"),
        ((0.001, 0.02), "fail", "did harm"),
    ],
)
def test_fidelity_is_judged_against_plain_rounding(
    less: tuple[float, float], outcome: Outcome, meaning: str
) -> None:
    """Learned rounding that is no closer than none is not worth a release."""
    verdict = judge(a_comparison(), evidence(less=less))

    assert (verdict.outcome, of(verdict, "fidelity").outcome) == (outcome, outcome)
    assert meaning in of(verdict, "fidelity").words


def test_an_equal_model_needs_no_comparison_with_rounding() -> None:
    """The 16-bit model against itself: KL 0 cannot be undercut."""
    verdict = judge(a_comparison(), evidence(mean_kl=0.0, rtn=None, last=0.0))

    assert (verdict.outcome, of(verdict, "fidelity").outcome) == ("pass", "pass")
    assert "nothing could be closer" in of(verdict, "fidelity").words


def test_plain_rounding_is_not_compared_with_itself() -> None:
    """It may pass on its scores, and the reason says what was left out."""
    verdict = judge(a_comparison(), evidence(rtn=None, is_rtn=True))

    assert (verdict.outcome, of(verdict, "fidelity").outcome) == ("pass", "not judged")
    assert "it is plain round-to-nearest" in of(verdict, "fidelity").words


@pytest.mark.parametrize(
    ("mean_kl", "times", "outcome", "meaning"),
    [
        (0.12, (3.0, 5.0), "pass", "it may be 4 times as much."),
        (0.121, (4.0, 5.0), "hold", "whether it is more is not clear: a person decides"),
        (0.121, (4.01, 5.0), "fail", "this is not what 4 bits can do"),
    ],
)
def test_fidelity_is_judged_against_plain_four_bits(
    mean_kl: float, times: tuple[float, float], outcome: Outcome, meaning: str
) -> None:
    """Four times the noise is one bit less; beyond that, easy questions excuse nothing."""
    found = beside_int4(mean_kl=mean_kl, int4=0.03, times=times)
    verdict = judge(a_comparison(), evidence(rtn=None, is_rtn=True, int4=(found,)))

    assert (verdict.outcome, of(verdict, "int4").outcome) == (outcome, outcome)
    assert meaning in of(verdict, "int4").words
    assert (of(verdict, "int4").measured, of(verdict, "int4").limit) == (mean_kl, 0.12)


def test_text_and_questions_are_both_held_against_four_bits() -> None:
    """A model that has forgotten how to write is refused, however well it answers."""
    broken = beside_int4(mean_kl=3.0, times=(80.0, 120.0))
    fine = beside_int4().model_copy(update={"on": "questions"})

    verdict = judge(a_comparison(), evidence(int4=(broken, fine)))

    assert [finding.outcome for finding in verdict.reasons if finding.check == "int4"] == [
        "fail", "pass",
    ]  # fmt: skip
    assert verdict.decisive[0].words == (
        "On text the mean KL divergence is 3 nats, that of plain rounding to 4 bits 0.03 (95 %: "
        "80 to 120 times that); it may be 4 times as much, and it is clearly more: this is not "
        "what 4 bits can do."
    )


def test_where_four_bits_lose_nothing_neither_may_the_candidate() -> None:
    """What float32 makes of two equal models counts as none, and the rest as a multiple of it."""
    noise = beside_int4(mean_kl=3.9e-6, int4=0.0, times=(3.0, 4.5))
    loss = beside_int4(mean_kl=0.01, int4=0.0, times=(9000.0, 11000.0))

    assert judge(a_comparison(), evidence(int4=(noise,))).outcome == "pass"
    assert judge(a_comparison(), evidence(int4=(loss,))).outcome == "fail"


def test_what_was_not_measured_is_said() -> None:
    """Neither missing fidelity, nor a missing reference for it, passes in silence."""
    nothing = of(judge(a_comparison(), None), "fidelity")
    no_reference = of(judge(a_comparison(), evidence(rtn=None)), "fidelity")
    no_int4 = of(judge(a_comparison(), evidence(int4=())), "int4")

    assert (nothing.outcome, no_reference.outcome) == ("not judged", "not judged")
    assert "was not measured, so it is not judged" in nothing.words
    assert "plain round-to-nearest was not measured" in no_reference.words
    assert (no_int4.outcome, "4 bits was not measured" in no_int4.words) == ("not judged", True)


@pytest.mark.parametrize(
    ("last", "outcome", "meaning"),
    [
        (0.0134, "pass", "it may be 1.5 times as much, that is 0.0201."),
        (0.0133, "hold", "beyond which a person decides"),
        (None, "not judged", "No earlier release is known"),
    ],
)
def test_fidelity_is_watched_from_release_to_release(
    last: float | None, outcome: str, meaning: str
) -> None:
    """KL does not rank candidates, but one that grew by half has a cause."""
    finding = of(judge(a_comparison(), evidence(last=last)), "last release")

    assert finding.outcome == outcome
    assert meaning in finding.words


def test_the_worst_outcome_wins() -> None:
    """One failure outweighs a hold, a hold outweighs all that passed."""
    holds = evidence(less=(-0.01, 0.01))
    failing = a_comparison(a_task(flips=(100, 100)))

    assert judge(a_comparison(), holds).outcome == "hold"
    assert judge(failing, holds).outcome == "fail"
    assert [finding.check for finding in judge(failing, holds).decisive] == ["flips"]


def test_thresholds_come_from_the_recipe() -> None:
    """Whoever allows a benchmark more gets more."""
    comparison = a_comparison(a_task(flips=(100, 100)))

    assert judge(comparison, evidence(), GateSpec(flips=20)).outcome == "pass"


def test_the_16_bit_model_passes_against_itself() -> None:
    """The positive control, from answers to verdict."""
    model = by_name(
        single([1.0, 0.0] * 10), yes_no([("Yes", "Yes"), ("No", "Yes"), ("No", "No")] * 5)
    )

    verdict = judge(compare(model, model, resamples=99), evidence(mean_kl=0.0, rtn=None))

    assert (verdict.outcome, of(verdict, "rows").words) == (
        "pass",
        "Both models answered the same 35 rows of 2 benchmarks, and all of them are counted.",
    )


def test_a_ruined_model_fails() -> None:
    """The negative control: a model that no longer looks, and answers Yes to everything."""
    questions = ["Yes", "No"] * 50
    good = by_name(yes_no([(truth, truth) for truth in questions]))
    ruined = by_name(yes_no([(truth, "Yes") for truth in questions]))

    verdict = judge(compare(good, ruined, resamples=999), None)

    assert (verdict.outcome, [finding.check for finding in verdict.decisive]) == (
        "fail",
        ["average", "drop", "yes share", "flips"],
    )
