"""The draw as a whole: exact counts, the same bytes every time, no silent shrinking."""

from pathlib import Path

import pytest
from datasets import Dataset

from infra.calibration.collect import collect, image_folders, open_rows
from infra.calibration.sample import save
from infra.errors import (
    BadRowError,
    CalibrationSourceError,
    CorruptImageError,
    EmptyImageError,
    MalformedRowError,
    TooFewSamplesError,
)
from tests.support.calibration import (
    SENTENCE,
    a_spec,
    picture,
    write_conversations,
    write_documents,
    write_lines,
)


def test_text_samples_are_exactly_as_asked(tiny_model: Path, tmp_path: Path) -> None:
    """As many samples as asked, of seqlen tokens, each from another document."""
    path = write_documents(tmp_path / "a.jsonl", 20)

    drawn = collect(a_spec(path, nsamples=8, seqlen=24), tiny_model)

    assert [len(sample.input_ids) for sample in drawn.samples] == [24] * 8
    assert len(set(drawn.report.row_ids)) == 8
    assert (
        drawn.report.nsamples,
        drawn.report.tokens,
        drawn.report.lengths,
    ) == (8, 8 * 24, {"22-24": 8})
    assert (
        drawn.report.rows_total,
        drawn.report.rows_visited,
        drawn.report.processor,
    ) == (20, 8, "Qwen2Tokenizer")


def test_image_samples_are_exactly_as_asked(tiny_model: Path, tmp_path: Path) -> None:
    """Pictures lie in 'images' beside the rows, and are counted and recorded."""
    path = write_conversations(tmp_path / "set", 6)

    report = collect(a_spec(path, kind="image_text", nsamples=5, seqlen=128), tiny_model).report

    assert (
        report.nsamples,
        report.images,
        report.distinct_images,
        report.text_only,
    ) == (5, 5, 5, 0)
    assert len(report.images_sha256 or "") == 64
    assert "pillow" in report.versions


def test_the_same_spec_gives_the_same_bytes_anywhere(tiny_model: Path, tmp_path: Path) -> None:
    """Two copies of the data in two folders: one file, byte for byte."""
    for where in ("here", "there"):
        path = write_conversations(tmp_path / where / "set", 6)
        drawn = collect(a_spec(path, kind="image_text", seqlen=128), tiny_model)
        save(drawn, tmp_path / f"{where}.safetensors")

    here, there = (tmp_path / f"{where}.safetensors" for where in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()


def test_another_seed_draws_other_rows(tiny_model: Path, tmp_path: Path) -> None:
    """The seed decides which documents are seen, and in which order."""
    path = write_documents(tmp_path / "a.jsonl", 20)

    one = collect(a_spec(path, seed=1), tiny_model).report
    two = collect(a_spec(path, seed=2), tiny_model).report

    assert one.row_ids != two.row_ids
    assert one.samples_sha256 != two.samples_sha256


def test_more_samples_only_add_to_fewer(tiny_model: Path, tmp_path: Path) -> None:
    """A larger set of the same seed begins with the smaller one, so that the two compare."""
    path = write_documents(tmp_path / "a.jsonl", 20)

    few = collect(a_spec(path, nsamples=4), tiny_model).report.row_ids
    many = collect(a_spec(path, nsamples=9), tiny_model).report.row_ids

    assert few == many[:4]


def test_too_few_samples_say_how_many_there_were_and_why(tiny_model: Path, tmp_path: Path) -> None:
    """The count that was had, the count of each reason, and the longest of what was too short."""
    rows: list[object] = [SENTENCE * 20, SENTENCE * 20, "short", "shorter"]
    path = write_lines(tmp_path / "a.jsonl", rows)

    with pytest.raises(
        TooFewSamplesError,
        match=r"gives 2 samples, and nsamples=3 .* has 4 rows; 2 were skipped "
        r"\(2 shorter_than_seqlen; the longest of these has \d tokens\).*nsamples=2 or fewer",
    ):
        collect(a_spec(path, nsamples=3), tiny_model)


def test_exactly_enough_is_enough(tiny_model: Path, tmp_path: Path) -> None:
    """The last usable row counts: as many as there are can be had, and not one more."""
    path = write_documents(tmp_path / "a.jsonl", 5)

    assert collect(a_spec(path, nsamples=5), tiny_model).report.nsamples == 5
    with pytest.raises(TooFewSamplesError, match=r"5 samples, and nsamples=6 .* 0 were skipped,"):
        collect(a_spec(path, nsamples=6), tiny_model)


def test_skipped_rows_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    """Short documents on the way are in the report."""
    rows: list[object] = ["short"] * 6 + [SENTENCE * 20] * 2
    path = write_lines(tmp_path / "a.jsonl", rows)

    report = collect(a_spec(path, nsamples=2), tiny_model).report

    assert {"shorter_than_seqlen": report.rows_visited - 2} == report.skipped


def test_running_text_fills_the_set(tiny_model: Path, tmp_path: Path) -> None:
    """One .txt file gives as many samples as were asked for, if it is long enough."""
    path = tmp_path / "book.txt"
    path.write_text(SENTENCE * 40, encoding="utf-8")

    report = collect(a_spec(path, nsamples=6), tiny_model).report

    assert (len(set(report.row_ids)), report.rows_visited) == (6, 1)


@pytest.mark.parametrize(
    ("broken", "error", "reason"),
    [(b"", EmptyImageError, "empty_image"), (b"no picture", CorruptImageError, "corrupt_image")],
)
def test_a_broken_picture_stops_unless_told_otherwise(
    tiny_model: Path, tmp_path: Path, broken: bytes, error: type[BadRowError], reason: str
) -> None:
    """By default a set does not silently shrink; on request the row is counted and named."""
    path = write_conversations(tmp_path / "set", 6)
    (path.parent / "images" / "002.png").write_bytes(broken)
    spec = a_spec(path, kind="image_text", nsamples=5, seqlen=128)

    with pytest.raises(error, match=r"002\.png"):
        collect(spec.model_copy(update={"nsamples": 6}), tiny_model)
    lenient = spec.model_copy(update={"skip_bad_rows": True, "seed": 0})
    report = collect(lenient, tiny_model).report

    assert (5, {reason: 1}) == (report.nsamples, report.skipped)


def test_a_malformed_line_is_skipped_and_counted_on_request(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The reason in the report is that of the error."""
    path = write_documents(tmp_path / "a.jsonl", 3)
    path.write_text(path.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    spec = a_spec(path, nsamples=4)

    with pytest.raises(MalformedRowError, match=r"a\.jsonl:4"):
        collect(spec, tiny_model)
    with pytest.raises(TooFewSamplesError, match=r"1 were skipped \(1 malformed_row\)"):
        collect(spec.model_copy(update={"skip_bad_rows": True}), tiny_model)


def test_pictures_can_lie_elsewhere(tiny_model: Path, tmp_path: Path) -> None:
    """`images` says where, and then no other place is looked at."""
    path = write_conversations(tmp_path / "set", 4)
    (path.parent / "images").rename(tmp_path / "coco")
    spec = a_spec(path, kind="image_text", seqlen=128)

    moved = spec.model_copy(update={"images": str(tmp_path / "coco")})
    assert collect(moved, tiny_model).report.images == 4
    with pytest.raises(BadRowError, match="is not in"):
        collect(spec, tiny_model)


def test_an_images_folder_that_is_none_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """A misspelled folder is told as such, and not as thousands of missing pictures."""
    path = write_conversations(tmp_path / "set", 4)
    spec = a_spec(path, kind="image_text", seqlen=128).model_copy(update={"images": "coc"})

    with pytest.raises(CalibrationSourceError, match="images='coc' is no folder"):
        collect(spec, tiny_model)


def test_parquet_with_pictures_inside_needs_no_folder(tiny_model: Path, tmp_path: Path) -> None:
    """A set that carries its pictures is complete in one file."""
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": SENTENCE}]
    rows = {
        "image": [{"bytes": picture(shade=n), "path": None} for n in range(3)],
        "conversations": [turns] * 3,
    }
    Dataset.from_dict(rows).to_parquet(tmp_path / "a.parquet")
    spec = a_spec(tmp_path / "a.parquet", kind="image_text", nsamples=3, seqlen=128)

    assert collect(spec, tiny_model).report.distinct_images == 3


def test_nothing_of_that_name_lists_the_short_names() -> None:
    """Neither a path nor an id: what could have been meant is shown."""
    for source in ("piel", "no/such/rows.jsonl", "rows.jsonl", "./rows"):
        with pytest.raises(CalibrationSourceError, match=f"no file or folder '{source}'.*'pile'"):
            open_rows(a_spec(source))


def test_an_id_is_looked_up_on_the_hub() -> None:
    """What is no path here is asked for there: this process is offline, and says so."""
    with pytest.raises(
        CalibrationSourceError, match=r"data set owner/set .* could not be looked up"
    ):
        open_rows(a_spec("owner/set"))


def test_a_hub_set_has_no_folder_of_its_own() -> None:
    """Pictures of a Hub set are inside it, or where `images` says."""
    assert image_folders(a_spec("owner/set", kind="image_text", seqlen=64)) == ()
