"""What a name, a path or an id on the command line stands for."""

import json
from pathlib import Path

import pytest

from infra.calibration.catalog import KNOWN, spec_for
from infra.calibration.spec import CalibrationSpec
from tests.support.calibration import write_conversations, write_documents


def spec_of(calibration: str, *, images: str | None = None) -> CalibrationSpec:
    """Return the spec of a short name, path or id."""
    return spec_for(calibration, nsamples=4, seqlen=64, seed=1, images=images)


def test_a_short_name_is_its_data_set() -> None:
    """The two sets of the reference release, under their names."""
    pile, llava = spec_of("pile"), spec_of("llava", images="coco")

    assert (pile.name, pile.kind, pile.source) == ("pile", "text", "NeelNanda/pile-10k")
    assert (llava.kind, llava.data_files) == ("image_text", ("llava_instruct_150k.json",))
    assert (KNOWN["llava"].revision, "coco") == (llava.revision, llava.images)


def test_a_revision_overrides_the_pinned_one() -> None:
    """Whoever wants another commit of a known set can have it."""
    spec = spec_for("pile", nsamples=4, seqlen=64, seed=1, revision="main")

    assert spec.revision == "main"


def test_a_file_is_known_by_its_rows(tmp_path: Path) -> None:
    """Documents are text, conversations are image and text; the name is the file's."""
    documents = write_documents(tmp_path / "My Notes.jsonl", 2)
    chats = write_conversations(tmp_path / "chats", 2)

    assert (spec_of(str(documents)).name, spec_of(str(documents)).kind) == ("my-notes", "text")
    assert (spec_of(str(chats)).name, spec_of(str(chats)).kind) == ("chats", "image_text")
    assert spec_of(str(chats.parent)).kind == "image_text"


def test_a_path_of_a_short_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called "pile" here is what is meant, and no download."""
    (tmp_path / "pile").mkdir()
    (tmp_path / "pile" / "rows.json").write_text(json.dumps(["one"]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert (
        spec_of("pile").name,
        spec_of("pile").source,
        spec_of("pile").revision,
    ) == ("pile", "pile", None)


def test_an_id_with_images_is_image_text() -> None:
    """What a Hub set holds is not known before it is fetched; a folder of pictures tells."""
    assert spec_of("owner/Some_Set").kind == "text"
    assert spec_of("owner/Some_Set", images="pictures").kind == "image_text"
    assert spec_of("owner/Some_Set").name == "some_set"
