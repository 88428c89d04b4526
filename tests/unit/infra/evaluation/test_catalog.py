"""Benchmarks are data: the four of the reference card, and what a folder adds, never a guess."""

from pathlib import Path

import pytest

from infra.errors import CatalogError, UnknownBenchmarkError
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.catalog import known, named, of_folder

FEWEST, MOST = 1280 * 28 * 28, 16384 * 28 * 28


def own(folder: Path, text: str) -> Path:
    """Write a folder's own list."""
    (folder / "benchmarks.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_reference_card_has_four_benchmarks() -> None:
    """Kind, counting and what intervals draw are those of VLMEvalKit and of the reference."""
    facts = {name: (b.kind, b.circular, b.cluster) for name, b in known().items()}

    assert facts == {
        "MMBench_DEV_EN_V11": ("mcq", True, "group"),
        "ScienceQA_VAL": ("mcq", False, "image"),
        "TextVQA_VAL": ("vqa", False, "image"),
        "POPE": ("yes_no", False, "image"),
    }


def test_the_published_files_are_named_with_their_md5() -> None:
    """These are the sums that VLMEvalKit states at both of its versions."""
    assert {name: b.md5 for name, b in known().items()} == {
        "MMBench_DEV_EN_V11": "30c05be8f2f347a50be25aa067248184",
        "ScienceQA_VAL": "96320d05e142e585e7204e72affd29f3",
        "TextVQA_VAL": "b233b31f551bbf4056f2f955da3a92cd",
        "POPE": "c12f5acb142f2ef1f85a26ba2fbe41d5",
    }
    assert all((b.url or "").endswith(f"/{name}.tsv") for name, b in known().items())


def test_pictures_are_scaled_as_for_the_reference_card() -> None:
    """1280 and 16384 patches of 28 x 28 are the bounds that the reference was measured with."""
    assert {(b.min_pixels, b.max_pixels) for b in known().values()} == {(FEWEST, MOST)}


def test_a_folder_without_a_list_has_the_known_ones(tmp_path: Path) -> None:
    """A table whose name no list has is not a benchmark, wherever it lies."""
    (tmp_path / "MyBench.tsv").touch()

    assert known() == of_folder(tmp_path)


def test_a_folder_adds_a_benchmark_in_one_line(tmp_path: Path) -> None:
    """Another benchmark of a known kind needs data and no code."""
    found = of_folder(own(tmp_path, "MyBench: {kind: mcq, circular: true, cluster: group}\n"))

    expected = Benchmark(name="MyBench", kind="mcq", circular=True, cluster="group")
    assert known() | {"MyBench": expected} == found


def test_a_folder_comes_before_the_catalog(tmp_path: Path) -> None:
    """What lies beside a table describes it better than what is known under its name."""
    found = of_folder(own(tmp_path, "POPE: {kind: yes_no}\n"))

    assert Benchmark(name="POPE", kind="yes_no") == found["POPE"]


def test_an_empty_list_adds_nothing(tmp_path: Path) -> None:
    """A file with comments alone is a list of no benchmarks."""
    assert known() == of_folder(own(tmp_path, "# none yet\n"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("POPE: [", "cannot be read as YAML"),
        ("- POPE", "holds a list"),
        ("POPE: yes_no", "'POPE' is 'yes_no', which has no fields"),
        ("POPE: {kind: yes-no}", "kind: Input should be 'mcq', 'yes_no' or 'vqa'"),
        ("POPE: {}", "kind: Field required"),
        ("POPE: {kind: yes_no, colour: red}", "colour: Extra inputs"),
        ("POPE: {kind: yes_no, md5: abc}", "md5: String should match"),
        ("'a/b': {kind: vqa}", "name: String should match"),
    ],
)
def test_a_broken_list_is_named_with_its_entry(tmp_path: Path, text: str, told: str) -> None:
    """The message has the file, what is wrong, and how an entry looks."""
    with pytest.raises(CatalogError, match=r"MyTable: \{kind: mcq\}") as caught:
        of_folder(own(tmp_path, text))

    assert told in str(caught.value)
    assert str(tmp_path / "benchmarks.yaml") in str(caught.value)


def test_a_name_is_looked_up() -> None:
    """A name that is there gives its benchmark."""
    assert known()["POPE"] == named("POPE", known())


def test_an_unknown_name_is_not_guessed() -> None:
    """The message lists the names that are known, and how to add one."""
    with pytest.raises(UnknownBenchmarkError, match=r"'Pope'.*POPE.*benchmarks\.yaml"):
        named("Pope", known())
