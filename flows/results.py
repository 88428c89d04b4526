"""What a run gives back: references, numbers and folders, never tensors."""

from pydantic import Field

from infra.models.source import ModelSource
from tasks.specs import BlockRecord, ExportResult, Spec, TextFidelity, VerifyReport


class VariantResult(Spec):
    """One quantized model, exported and verified."""

    name: str = Field(description="The variant.")
    blocks: tuple[BlockRecord, ...] = Field(description="One record a block, in order.")
    export: ExportResult = Field(description="What was written, and where.")
    verification: VerifyReport = Field(description="What reading it back has shown.")
    fidelity: TextFidelity | None = Field(
        description="Comparison with the 16-bit model on held-out text, where the recipe has one."
    )


class RunResult(Spec):
    """All that one recipe gave."""

    source: ModelSource = Field(description="The 16-bit model, at its resolved revision.")
    variants: tuple[VariantResult, ...] = Field(description="One result a variant.")
