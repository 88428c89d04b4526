"""Refuse in the first second what would otherwise fail after hours.

Headers of the weights, shapes and the names of output folders are enough to know that a group size
fits every layer and that the result will have a place; not one weight is read.
"""

from prefect import task

from infra.calibration.conversations import open_processor
from infra.checkpoints.configs import source_config
from infra.models.architectures import for_config
from infra.models.finding import open_tensors
from infra.models.source import ModelSource
from tasks.engine import grid_of
from tasks.finished import require_free_or_ours
from tasks.specs import ExportRequest, QuantizationSpec


@task(name="look-before", task_run_name="look before the work starts", persist_result=False)
def look_before(
    source: ModelSource, quantization: QuantizationSpec, requests: tuple[ExportRequest, ...]
) -> int:
    """Check what can be checked without reading a weight; return the number of decoder blocks.

    Raises:
        OutputExistsError: An output folder holds something else already.
        AlreadyQuantizedError: The model is not a 16-bit one.
        ProcessorError: Its tokenizer or processor, which verification needs, cannot be used.
        WeightsError: A weight file is missing, cut short or damaged.
        UnknownArchitectureError: Nobody here can read this model family.
        GroupSizeError: The group size does not divide the inputs of a layer.
    """
    for request in requests:
        require_free_or_ours(source, request)
    index = open_tensors(source)
    architecture = for_config(source_config(source.path), index.names)
    open_processor(source.path)
    grid = grid_of(quantization)
    for block in range(architecture.blocks):
        for name in architecture.linears(block):
            grid.groups(index.shape(name)[1])
    return architecture.blocks
