"""Ask VLMEvalKit what it makes of answers: runs in `.venv-vlmeval`, in a process of its own.

    python oracle.py SITE REQUEST.json REPLY.json

SITE is the folder that holds the package.  Its `__init__` modules load engines, judges and torch,
none of which a score needs; empty modules take their place.
"""

import importlib
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

EMPTY = ("vlmeval", "vlmeval.api", "vlmeval.dataset", "vlmeval.dataset.utils", "vlmeval.vlm")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def stand_in(site: Path) -> None:
    """Put empty modules where the package would load what is not installed."""
    for name in EMPTY:
        module = types.ModuleType(name)
        module.__path__ = [str(site.joinpath(*name.split(".")))]
        sys.modules[name] = module
    sys.modules["vlmeval.dataset"].__dict__["DATASET_TYPE"] = None
    sys.modules["vlmeval.api"].__dict__["OpenAIWrapper"] = None


def part(name: str) -> Any:
    """Import one module of the package."""
    return importlib.import_module(f"vlmeval.{name}")


def choices(cases: list[dict[str, Any]]) -> list[str | None]:
    """Read the option that each answer chooses."""
    can_infer = part("utils.matching_util").can_infer
    return [can_infer(case["answer"], dict(case["options"])) or None for case in cases]


def yes_no(cases: list[str]) -> list[str]:
    """Read yes or no in each answer."""
    return [part("dataset.utils.yorn").YOrN_Extraction(case) for case in cases]


def open_answers(cases: list[dict[str, str]]) -> list[tuple[str, float]]:
    """Normalise each answer, and compare it with the annotators'."""
    vqa = part("dataset.utils.vqa_eval")
    lines = [vqa.process_line(case, method="vqa_score") for case in cases]
    return [(line["pred"], sum(line["match"]) / len(line["match"])) for line in lines]


def benchmark(case: dict[str, str]) -> dict[str, Any]:
    """Score a spreadsheet of answers as `run.py --mode eval` does without a judge model."""
    load = part("smp.file").load
    data = load(case["spreadsheet"])
    data["prediction"] = [str(text) for text in data["prediction"]]
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"mcq": options_report, "yes_no": detection_report, "vqa": open_report}
        return kinds[case["kind"]](data, load(case["table"]), case["name"], folder)


def options_report(data: Any, meta: Any, name: str, folder: str) -> dict[str, Any]:
    """Score multiple choice: circular where the name says so."""
    module = part("dataset.utils.multiple_choice")
    circular = any(word in name.lower() for word in ("mmbench", "ccbench", "circular"))
    evaluate = module.mcq_circular_eval if circular else module.mcq_vanilla_eval
    data = evaluate(None, data.sort_values(by="index"), meta, 1, f"{folder}/result.pkl", name)
    hits = {str(index): int(hit) for index, hit in zip(data["index"], data["hit"], strict=True)}
    return {"report": module.report_acc(data).to_dict("list"), "hits": hits}


def detection_report(data: Any, _meta: Any, _name: str, folder: str) -> dict[str, Any]:
    """Score yes/no as POPE is scored."""
    module = part("dataset.utils.yorn")
    data["extracted"] = [module.YOrN_Extraction(text) for text in data["prediction"]]
    data["score"] = data["answer"] == data["extracted"]
    part("smp.file").dump(data, f"{folder}/extracted.xlsx")
    return {"report": module.POPE_rating(f"{folder}/extracted.xlsx").to_dict("list")}


def open_report(data: Any, _meta: Any, _name: str, _folder: str) -> dict[str, Any]:
    """Score open answers as TextVQA is scored."""
    vqa = part("dataset.utils.vqa_eval")
    data["answer"] = [str(text) for text in data["answer"]]
    lines = [data.iloc[row] for row in range(len(data))]
    hits = vqa.hit_calculate([vqa.process_line(line) for line in lines], "TextVQA")
    return {"report": {"Overall": [float(sum(hits) / len(hits) * 100)]}}


if __name__ == "__main__":
    site, request, reply = map(Path, sys.argv[1:])
    stand_in(site)
    asked = json.loads(request.read_text(encoding="utf-8"))
    answer = {f.__name__: f for f in (choices, yes_no, open_answers, benchmark)}[asked["what"]]
    reply.write_text(json.dumps(answer(asked["cases"])), encoding="utf-8")
