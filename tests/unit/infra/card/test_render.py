"""The card has every section, names every revision, and says nothing that does not apply."""

import ast

import pytest

from infra.card.caveats import caveats
from infra.card.render import render
from tests.support import markdown
from tests.support.card import (
    GPTQ,
    MAIN,
    a_finding,
    a_verdict,
    blocks,
    evaluation_facts,
    judged,
    release_facts,
    rendered,
    source_facts,
)

SECTIONS = [
    "Qwen2-VL-7B-Instruct-int4-sym",
    "Model Details",
    "How To Use",
    "Requirements",
    "INT4 Inference",
    "Sample Generations",
    "Evaluation",
    "Fidelity to the 16-bit model",
    "Generate the Model",
    "Calibration Data",
    "Error of Each Block",
    "Environment",
    "Ethical Considerations and Limitations",
    "Caveats and Recommendations",
    "Check What You Have",
    "Disclaimer",
    "Cite",
]
NEAREST = {
    "variant": "rtn",
    "calibration": (),
    "method": release_facts().method.model_copy(update={"iters": 0, "step": None}),
    "blocks": tuple(
        each.model_copy(update={"loss_before": None, "loss_after": None, "fallback": None})
        for each in blocks(2)
    ),
    "evaluation": evaluation_facts({"POPE": (86.0, 85.0)}, ("rtn",)),
}
ON_GPTQ = MAIN.model_copy(update={"format": "auto_gptq", "gptq_commit": None, "gptq_short": None})
ELSEWHERE = MAIN.model_copy(update={"gptq_repo_id": "acme/model-gptq", "gptq_branch": "main"})


def test_the_card_has_every_section() -> None:
    """Those of the reference card, and what the best cards have beyond."""
    assert markdown.read(rendered(release_facts())).headings == SECTIONS


def test_the_card_on_main_names_the_other_commit_and_its_tag() -> None:
    """Readers pin by the commit; the tag is the name that lasts."""
    page = markdown.read(rendered(release_facts()))
    rows = {row[0]: row for row in page.table("format")}

    assert rows["auto_round"][2] == "v1.0.0, a tag on main"
    assert rows["auto_gptq"][2] == "a7269c6, a commit, tagged v1.0.0-auto_gptq on auto_gptq"


def test_the_card_beside_gptq_names_its_own_tag() -> None:
    """A commit cannot contain itself, so nothing there looks like one of ours."""
    card = render(release_facts().published_as(ON_GPTQ))
    rows = {row[0]: row for row in markdown.read(card).table("format")}

    assert rows["auto_gptq"][2] == "v1.0.0-auto_gptq, a tag on auto_gptq"
    assert GPTQ.short not in card


@pytest.mark.parametrize(
    ("published", "loaded"),
    [
        (MAIN, [(MAIN.repo_id, "v1.0.0"), (MAIN.repo_id, "a7269c6")]),
        (ON_GPTQ, [(MAIN.repo_id, "v1.0.0"), (MAIN.repo_id, "v1.0.0-auto_gptq")]),
        (ELSEWHERE, [(MAIN.repo_id, "v1.0.0"), ("acme/model-gptq", "a7269c6")]),
    ],
    ids=["main", "gptq", "two repositories"],
)
def test_programs_pin_model_processor_and_picture(
    published: object, loaded: list[tuple[str, str]]
) -> None:
    """One program a format; each is Python, and nothing in it goes without the revision."""
    facts = release_facts().model_copy(update={"published": published})
    programs = markdown.read(render(facts)).programs("python")

    assert len(programs) == len(loaded)
    for program, names in zip(programs, loaded, strict=True):
        assert f"repo, revision = {names[0]!r}, {names[1]!r}".replace("'", '"') in program
        calls = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
        fetching = [call for call in calls if "repo" in {ast.unparse(arg) for arg in call.args}]
        assert len(fetching) == 3
        assert all("revision=revision" in ast.unparse(call) for call in fetching)


@pytest.mark.parametrize(
    ("published", "revision"), [(MAIN, "v1.0.0"), (ON_GPTQ, "v1.0.0-auto_gptq")]
)
def test_commands_are_about_the_revision_that_they_are_in(published: object, revision: str) -> None:
    """The recipe and the sums beside the GPTQ weights are its own."""
    facts = release_facts().model_copy(update={"published": published})
    commands = "\n".join(markdown.read(render(facts)).programs("bash"))

    assert commands.count(f"--revision {revision} ") == commands.count("--revision") == 2


def test_the_table_is_that_of_the_reference_card() -> None:
    """16 bits, then each calibration variant; the average is what the rows give."""
    rows = markdown.read(rendered(release_facts())).table("metric")

    assert rows[0] == ["metric", "16bits", "pile INT4", "llava INT4"]
    assert [row[:2] for row in rows[1:]] == [
        ["avg", "83.92"],
        ["MMBench_DEV_EN_V11", "80.50"],
        ["ScienceQA_VAL", "84.69"],
        ["TextVQA_VAL", "84.36"],
        ["POPE", "86.13"],
    ]
    assert rows[1][2].startswith("83.84 (")


def test_answers_stand_side_by_side_with_how_they_were_decoded() -> None:
    """The reference card says neither the decoding nor where an answer was cut."""
    page = markdown.read(rendered(release_facts()))

    assert page.table("picture")[1][2:] == ["A", "A. a dog (cut)"]
    assert "greedy, without a penalty for repetition, at most 64 new tokens" in page.text
    assert page.pictures == ["samples/1.png", "images/losses.png"]


def test_nothing_is_told_of_what_was_not_asked() -> None:
    """No benchmarks, no held-out text: no section, no table, and the caveat that says so."""
    bare = release_facts(evaluation=None, fidelity=(), generations=None)
    page = markdown.read(rendered(bare))

    assert not {"Evaluation", "Sample Generations"} & set(page.headings)
    assert "No benchmark was asked of this model before it was published." in page.bullets
    assert all('Image.new("RGB"' in program for program in page.programs("python"))


def test_round_to_nearest_claims_no_learning() -> None:
    """Neither steps, nor seeds, nor a plot of what was gained."""
    page = markdown.read(rendered(release_facts(**NEAREST)))

    assert "nothing was learned" in page.text
    assert "SignRound, " not in page.text
    assert "Error of Each Block" not in page.headings
    assert page.pictures == ["samples/1.png"]


def test_a_release_that_did_not_pass_says_why_and_who_let_it_go_on() -> None:
    """Before anything else that one could use it for."""
    words = "The average went from 83.92 to 82.42."
    held = a_verdict(a_finding(outcome="hold", words=words), a_finding()).model_copy(
        update={"outcome": "hold"}
    )
    facts = release_facts(
        evaluation=judged(evaluation_facts(), held),
        approval={"by": "Ada", "reason": "Small tables."},
    )
    page = markdown.read(rendered(facts))

    assert page.bullets[0] == f"hold: {words}"
    assert "Ada let the release go on: Small tables." in page.text
    assert "The release gate says hold, not pass: look at its findings" in caveats(facts)[0]


def test_a_source_without_a_repository_is_called_by_its_name() -> None:
    """There is nothing to link, and nothing to claim in the metadata."""
    page = markdown.read(rendered(release_facts(source=source_facts(name="mine", repo_id=None))))

    assert "base_model" not in page.metadata
    assert not [link for link in page.links if "huggingface.co" in link]
    assert "INT4 weights for mine:" in page.text


def test_blocks_that_were_not_learned_are_named() -> None:
    """In the table of blocks, and among the caveats."""
    page = markdown.read(rendered(release_facts()))

    assert page.table("block")[4][4] == "the loss was not finite at iteration 3"
    assert "Blocks that could not be learned and are rounded to nearest: 4." in page.bullets


def test_a_quick_look_is_called_one() -> None:
    """A limit on questions makes a number, and no result."""
    evaluation = evaluation_facts().model_copy(update={"limit": 40})
    page = markdown.read(rendered(release_facts(evaluation=evaluation)))

    assert "Only the first 40 questions of each benchmark were asked" in page.text


def test_what_reading_back_has_shown_is_told() -> None:
    """Of each checkpoint, with what would have been accepted."""
    rows = markdown.read(rendered(release_facts())).tables[-1]

    assert rows[0][1:] == ["packed layers", "codes", "text logits", "image logits", "accepted"]
    assert rows[1] == ["auto_round", "196", "equal", "1.2e-03", "2.3e-03", "2.0e-02"]


def test_a_signature_is_told_of_where_there_is_one() -> None:
    """And only there."""
    signed = markdown.read(rendered(release_facts(signed=True)))
    unsigned = markdown.read(rendered(release_facts()))

    assert "model.sig is a signature of the publisher's own key over these files." in signed.text
    assert "model.sig" not in unsigned.text


def test_a_card_needs_names() -> None:
    """It could not say how to load what it tells of."""
    with pytest.raises(ValueError, match="has no names yet"):
        render(release_facts())
