"""The tiny model is what the tests take it for: a Qwen2-VL that the real classes load whole."""

import hashlib
import socket
from pathlib import Path

import pytest
from PIL import Image
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

from tests.conftest import NetworkRefusedError
from tests.support.tiny import write_tiny_qwen2_vl


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.parametrize("shards", [1, 3])
def test_the_real_class_finds_every_tensor(tmp_path: Path, shards: int) -> None:
    """The real class loads it with no key missing, unexpected or of another shape."""
    folder = write_tiny_qwen2_vl(tmp_path / "model", shards=shards)

    _, info = Qwen2VLForConditionalGeneration.from_pretrained(folder, output_loading_info=True)

    found = {key: set(info[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    assert found == {
        "missing_keys": set(),
        "unexpected_keys": set(),
        "mismatched_keys": set(),
    }


def test_a_picture_becomes_sixteen_tokens(tiny_model: Path) -> None:
    """The real processor keeps a picture of 112 x 112 as it is: 64 patches, 16 tokens."""
    processor = AutoProcessor.from_pretrained(tiny_model)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which?"}]}
    text = processor.apply_chat_template([turn], add_generation_prompt=True)
    picture = Image.new("RGB", (112, 112), (200, 10, 10))

    inputs = processor(text=[text], images=[picture], return_tensors="pt")

    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>Which?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert inputs["pixel_values"].shape == (64, 1176)
    assert inputs["image_grid_thw"].tolist() == [[1, 8, 8]]
    assert int(inputs["mm_token_type_ids"].sum()) == 16


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """The same arguments give the same files, and another seed other weights alone."""
    first = _digests(write_tiny_qwen2_vl(tmp_path / "first"))
    again = _digests(write_tiny_qwen2_vl(tmp_path / "again"))
    other = _digests(write_tiny_qwen2_vl(tmp_path / "other", seed=1))

    assert again == first
    assert {name for name in first if other[name] != first[name]} == {"model.safetensors"}


def test_no_test_leaves_this_machine() -> None:
    """Another machine is refused before a packet is sent; loopback is not."""
    with pytest.raises(NetworkRefusedError), socket.socket() as refused:
        refused.connect(("192.0.2.1", 80))
    with pytest.raises(NetworkRefusedError):
        socket.getaddrinfo("huggingface.co", 443)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
