"""Which model families are known, and what is said of all others."""

import pytest

from infra.errors import UnknownArchitectureError
from infra.models.architectures import KNOWN, for_config


@pytest.mark.parametrize(
    ("architectures", "called"),
    [
        (["LlamaForCausalLM"], "LlamaForCausalLM"),
        (["LlamaForCausalLM", "Qwen2VLForConditionalGeneration"], "LlamaForCausalLM"),
        ("MistralForCausalLM", "MistralForCausalLM"),
        ([], "(none named)"),
        (None, "(none named)"),
        ([["nested"]], "['nested']"),
    ],
)
def test_an_unknown_family_is_named_with_the_known_ones(architectures: object, called: str) -> None:
    """A family that nobody here can read is refused by its name, with the list of known ones."""
    with pytest.raises(UnknownArchitectureError) as refused:
        for_config({"architectures": architectures}, [])

    assert repr(called) in str(refused.value)
    assert all(known in str(refused.value) for known in KNOWN)
