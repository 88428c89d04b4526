"""What a client needs beside the weights goes along byte for byte; what could run code does not."""

from pathlib import Path

from infra.checkpoints.sidefiles import copy_side_files, side_files

ALONG = (
    "LICENSE",
    "additional_chat_templates/tool_use.jinja",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer.model",
)
BEHIND = (
    ".gitattributes",
    ".cache/huggingface/x",
    "README.md",
    "SHA256SUMS",
    "config.json",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
    "model.sig",
    "modeling_custom.py",
    "optimizer.PT",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "quantize_config.json",
    "roundhouse.json",
    "scaler.pkl",
    "quantized/auto_round/tokenizer.json",
)


def _model(folder: Path) -> Path:
    for number, name in enumerate((*ALONG, *BEHIND)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes([number]) + name.encode() + b"\r\n\x00\xff")
    return folder


def test_only_harmless_files_go_along(tmp_path: Path) -> None:
    """No weights, no code, no pickles, no card, nothing hidden, nothing of other checkpoints."""
    assert list(ALONG) == [name.as_posix() for name in side_files(_model(tmp_path))]


def test_side_files_are_copied_byte_for_byte(tmp_path: Path) -> None:
    """A tokenizer that is re-saved breaks other versions; a copy cannot."""
    source, target = _model(tmp_path / "source"), tmp_path / "target"
    target.mkdir()

    copy_side_files(source, target)

    copied = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert set(ALONG) == copied
    assert all((source / n).read_bytes() == (target / n).read_bytes() for n in ALONG)


def test_links_into_a_cache_are_followed(tmp_path: Path) -> None:
    """The Hub's cache holds links to blobs; a checkpoint holds the files themselves."""
    (tmp_path / "blob").write_bytes(b"vocabulary")
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "vocab.json").symlink_to(tmp_path / "blob")

    copy_side_files(source, target)

    assert not (target / "vocab.json").is_symlink()
    assert (target / "vocab.json").read_bytes() == b"vocabulary"
