"""Which files of the source go along unchanged: tokenizer, preprocessor, templates, licence.

They are copied byte for byte, because re-saving them with one version of transformers breaks
others.  What could run code on loading (Python, pickles) and what is said anew (weights, configs,
the card) stays behind.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from infra.checkpoints.configs import COPY_OF_CONFIG
from infra.files import explaining, sync
from infra.models.source import CONFIG_FILE

SUMS = "SHA256SUMS"
PROVENANCE = "roundhouse.json"
SIGNATURE = "model.sig"

BROUGHT_ALONG = (".git", ".cache", ".gitattributes", ".gitignore")
"""What a folder has that was cloned or downloaded, and a checkpoint has not."""

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf"}
_CAN_RUN_CODE = {".py", ".pyc", ".so", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
_ENDINGS_LEFT = (".index.json",)
_NAMES_LEFT = frozenset(
    {CONFIG_FILE, SUMS, PROVENANCE, SIGNATURE, "README.md", *COPY_OF_CONFIG.values()}
)


def sums_of(digests: Mapping[str, str]) -> bytes:
    """Return a `SHA256SUMS` over files, as ``sha256sum --check`` reads it, sorted by name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def side_files(folder: Path) -> tuple[Path, ...]:
    """Return the files to copy, relative to ``folder`` and sorted; hidden ones stay behind.

    Of subfolders only `additional_chat_templates` goes along, the one that readers look into: any
    other may hold another model, or the very checkpoint that is being written.
    """
    found = (*folder.glob("*"), *folder.glob("additional_chat_templates/*.jinja"))
    names = (path.relative_to(folder) for path in found if path.is_file())
    return tuple(sorted(name for name in names if _goes_along(name)))


def copy_side_files(source: Path, target: Path) -> None:
    """Copy the side files of ``source`` into the existing folder ``target``, byte for byte.

    Raises:
        StorageError: One cannot be read or written.
    """
    for name in side_files(source):
        copy = target / name
        with explaining(copy, "writing"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy)
            sync(copy)


def _goes_along(path: Path) -> bool:
    return not (
        path.name.startswith(".")
        or path.suffix.lower() in _WEIGHTS | _CAN_RUN_CODE
        or path.name.endswith(_ENDINGS_LEFT)
        or str(path) in _NAMES_LEFT
    )
