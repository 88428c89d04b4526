"""Ask VLMEvalKit what it asks, and makes of answers: runs in `.venv-vlmeval`, a process apart.

    python oracle.py SITE REQUEST.json REPLY.json

SITE is the folder that holds the package.  Its `__init__` modules load engines, judges and torch,
none of which a score needs; empty modules take their place.
"""

import hashlib
import importlib
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

EMPTY = (
    *("vlmeval", "vlmeval.api", "vlmeval.dataset", "vlmeval.dataset.utils"),
    *("vlmeval.vlm", "vlmeval.vlm.qwen2_vl"),
)
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


def asked(case: dict[str, str]) -> list[dict[str, str]]:
    """Say what Qwen2-VL is asked about each row of a table: picture and text.

    The picture is given twice: as this version saves it (PNG; the digest is that of its pixels),
    and as earlier ones did, which called the same function with a name that ends in .jpg.
    """
    module, vlm = part("dataset.image_base"), part("smp.vlm")

    class Local(module.ImageBaseDataset):
        """A table from this machine."""

        def load_data(self, _name: str) -> Any:
            return part("smp.file").load(case["table"])

        def evaluate(self, *_: Any) -> None:
            """Stay away: nothing is scored here."""

    with tempfile.TemporaryDirectory() as folder:
        os.environ["LMUData"] = folder  # noqa: SIM112 -- its name
        table, asker = Local("local"), part("vlm.qwen2_vl.prompt").Qwen2VLPromptMixin()
        asker.set_dump_image(table.dump_image)
        build = {
            "mcq": asker._build_mcq_prompt,
            "yes_no": asker._build_yorn_prompt,
            "vqa": asker._build_vqa_prompt,
        }[case["kind"]]
        rows = []
        for line in (table.data.iloc[row] for row in range(len(table.data))):
            *pictures, text = build(line, "local")
            vlm.decode_base64_to_image_file(line["image"], f"{folder}/once.jpg")
            with vlm.Image.open(pictures[0]["value"]) as png:
                pixels = hashlib.sha256(png.convert("RGB").tobytes()).hexdigest()
            jpeg = hashlib.sha256(Path(f"{folder}/once.jpg").read_bytes()).hexdigest()
            row = {"text": text["value"], "pixels": pixels, "jpeg": jpeg}
            rows.append({"index": str(line["index"])} | row)
    return rows


if __name__ == "__main__":
    site, request, reply = map(Path, sys.argv[1:])
    stand_in(site)
    wanted = json.loads(request.read_text(encoding="utf-8"))
    known = (choices, yes_no, open_answers, benchmark, asked)
    answer = {f.__name__: f for f in known}[wanted["what"]]
    reply.write_text(json.dumps(answer(wanted["cases"])), encoding="utf-8")
