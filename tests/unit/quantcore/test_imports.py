"""quantcore runs on a machine that has torch and nothing else of ours."""

import ast
import subprocess
import sys
from pathlib import Path

import quantcore

ROOT = Path(quantcore.__file__).parent
MODULES = sorted(path.stem for path in ROOT.glob("*.py") if path.stem != "__init__")

PROGRAM = """
import sys
import torch

of_torch = set(sys.modules)


class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names | {"torch", "quantcore"}:
            raise ImportError(f"quantcore asked for {name}")
        return None


sys.meta_path.insert(0, Refuse())
for module in sys.argv[1:]:
    __import__(f"quantcore.{module}")

from quantcore.grid import IntGrid, dequantize
from quantcore.packing import pack, unpack
from quantcore.signround import round_to_nearest

weight = torch.randn(32, 64)
grid = IntGrid(group_size=32)
codes = round_to_nearest("w", weight, grid)
assert torch.equal(codes.codes_OI, unpack(pack(codes, grid), grid).codes_OI)
assert dequantize(codes, torch.float32).shape == weight.shape

tops = {name.partition(".")[0] for name in set(sys.modules) - of_torch}
print(sorted(tops - sys.stdlib_module_names))
"""


def test_torch_is_all_that_it_needs() -> None:
    """Every module imports and works where nothing but torch can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES],
        cwd=ROOT.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.stdout.strip() == "['quantcore']"


def test_only_torch_and_the_standard_library_are_named() -> None:
    """No import statement, however deep in a function, names anything else."""
    named = set()
    for path in ROOT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named.add((node.module or "").partition(".")[0])

    assert named - sys.stdlib_module_names == {"torch", "quantcore"}
