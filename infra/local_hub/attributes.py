"""Which files are large: by `.gitattributes`, by size, by what they begin with."""

import io

from dulwich.attrs import GitAttributes, Pattern, parse_git_attributes

LARGE_SUFFIXES = (
    "7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gguf", "gz", "h5", "joblib", "mlmodel", "model",
    "msgpack", "npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar",
    "safetensors", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst",
)  # fmt: skip
LARGE_FILES = "".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_SUFFIXES
).encode()
"""The `.gitattributes` that a new repository begins with."""

LONGEST_LINE = 2048  # a longer one is an error to `git fsck`


def attributes_of(text: bytes) -> GitAttributes:
    """Return the rules of a `.gitattributes` file."""
    rules = parse_git_attributes(io.BytesIO(text))
    return GitAttributes([(Pattern(pattern), values) for pattern, values in rules])


def is_large(
    path: str, *, size: int, sample: bytes, attributes: GitAttributes, threshold: int
) -> bool:
    """Whether a file is kept as a large file rather than in git itself.

    Args:
        path: Its path in the repository.
        size: Its bytes.
        sample: What it begins with.
        attributes: The rules of the revision that it is added to.
        threshold: From this size on every file is large.
    """
    if attributes.match_path(path.encode()).get(b"filter") == b"lfs":
        return True
    return size >= threshold or b"\0" in sample
