"""Trains the demo model: `python -m infra.demo.train WORK`.

The work folder holds checkpoints and curves; the model folder receives the weights. Training
resumes from the last checkpoint, so it may be stopped at any time.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2VLForConditionalGeneration

from infra.demo import MODEL_DIR
from infra.demo.batches import Packer
from infra.demo.conversations import drill, examine
from infra.demo.forward import answer_loss, look, text_loss
from infra.demo.looking import cell_ids, looking_accuracy, looking_loss
from infra.demo.material import draw_training_scene, picture, question_batch, text_batch
from infra.demo.measure import KINDS, accuracy, perplexity
from infra.demo.modelfiles import blank_model, write_descriptions, write_weights
from infra.demo.optim import Muon
from infra.demo.plan import Plan, lesson, rate
from infra.demo.seeds import stream
from infra.demo.together import average_gradients, join, rank, size
from infra.demo.tokenizer import load_tokenizer, train_tokenizer
from infra.files import write_atomically

_TOKENIZER_SEED = 7
_TOKENIZER_SIZE = 1500
_MEASURE_SEED = 1_000_003
_EMBEDDING_SPREAD = 0.1


@dataclass(frozen=True)
class Trainer:
    """Everything a step needs; the model and the optimizers change in place."""

    plan: Plan
    tokenizer: Tokenizer
    model: Qwen2VLForConditionalGeneration
    muon: Muon
    adam: torch.optim.AdamW
    packer: Packer


def _is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    """Tell whether Muon trains a parameter: all matrices but embedding and head."""
    return parameter.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name  # noqa: PLR2004


def _tokenizer(folder: Path) -> Tokenizer:
    """Keep the folder's tokenizer, which its weights know; train one if it has none."""
    if (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    return train_tokenizer(_TOKENIZER_SEED, _TOKENIZER_SIZE)


def make_trainer(plan: Plan, folder: Path) -> Trainer:
    """Make the tokenizer, write the model's descriptions and make a blank model.

    Args:
        plan: The training plan.
        folder: The model folder.

    Returns:
        The trainer at step 0.
    """
    tokenizer = _tokenizer(folder)
    write_descriptions(folder, tokenizer)
    torch.manual_seed(plan.seed)
    model = blank_model(folder)
    torch.nn.init.normal_(model.model.language_model.embed_tokens.weight, std=_EMBEDDING_SPREAD)
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if _is_matrix(name, p)]
    others = [p for name, p in named.items() if not _is_matrix(name, p)]
    return Trainer(
        plan=plan,
        tokenizer=tokenizer,
        model=model,
        muon=Muon(matrices, lr=plan.peak, decay=0.01),
        adam=torch.optim.AdamW(others, lr=plan.peak, betas=(0.9, 0.98), weight_decay=0.0),
        packer=Packer(tokenizer, plan.length),
    )


def step_loss(trainer: Trainer, step: int) -> torch.Tensor:
    """Compute the loss of one step.

    Args:
        trainer: The trainer.
        step: Step, from 0; it seeds the batch.

    Returns:
        A scalar to derive.
    """
    plan, model = trainer.plan, trainer.model
    rng = stream(plan.seed, f"train/{step}/{rank()}")
    kind = lesson(plan, step)
    if kind == "text":
        shape = (plan.rows // size(), plan.length)
        return text_loss(model, text_batch(trainer.tokenizer, rng, shape))
    if kind == "look":
        scenes = [draw_training_scene(rng) for _ in range(plan.look_rows // size())]
        seen = look(model, torch.stack([picture(scene, rng) for scene in scenes]))
        embedding = model.model.language_model.embed_tokens.weight
        return looking_loss(seen, embedding, cell_ids(trainer.tokenizer, scenes))
    ask = drill if kind == "early" else examine
    batch, patches = question_batch(trainer.packer, rng, plan.rows // size(), ask)
    return answer_loss(model, batch, patches)


def train_step(trainer: Trainer, step: int) -> float:
    """Take one step.

    Args:
        trainer: The trainer.
        step: Step, from 0.

    Returns:
        The loss.
    """
    speed = rate(trainer.plan, step)
    for optimizer in (trainer.muon, trainer.adam):
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = speed
    loss = step_loss(trainer, step)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(trainer.model.parameters())
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    trainer.muon.step()
    trainer.adam.step()
    return float(loss.detach())


@torch.no_grad()
def _cells_named(trainer: Trainer) -> float:
    """Measure how often the vision tower names a cell right, in the first lesson's sense."""
    model, tokenizer = trainer.model, trainer.tokenizer
    rng = stream(_MEASURE_SEED, "measure/cells")
    scenes = [draw_training_scene(rng) for _ in range(64)]
    seen = look(model, torch.stack([picture(scene, rng) for scene in scenes]))
    embedding = model.model.language_model.embed_tokens.weight
    return looking_accuracy(seen, embedding, cell_ids(tokenizer, scenes))


def measure(trainer: Trainer, step: int, count: int) -> dict[str, float]:
    """Measure what the current lesson can change, on material training never sees.

    Args:
        trainer: The trainer.
        step: The last step taken.
        count: Questions a kind.

    Returns:
        The naming of cells while looking is learned; later shares by kind and "perplexity".
    """
    model, tokenizer = trainer.model, trainer.tokenizer
    if lesson(trainer.plan, step) == "look":
        return {"cells": _cells_named(trainer)}
    joint = step >= trainer.plan.text_steps
    kinds = KINDS if joint else ()
    shares = {kind: accuracy(model, tokenizer, kind, count, _MEASURE_SEED) for kind in kinds}
    return {**shares, "perplexity": perplexity(model, tokenizer, 8, _MEASURE_SEED)}


def save_state(trainer: Trainer, path: Path, step: int) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        trainer: The trainer.
        path: Checkpoint file.
        step: Number of steps done.
    """
    part = path.with_suffix(".part")
    states = {name: getattr(trainer, name).state_dict() for name in ("model", "muon", "adam")}
    torch.save({"step": step, **states}, part)
    part.replace(path)


def load_state(trainer: Trainer, path: Path) -> int:
    """Restore a checkpoint if there is one.

    Args:
        trainer: The trainer to restore.
        path: Checkpoint file.

    Returns:
        Number of steps done.
    """
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for name in ("model", "muon", "adam"):
        getattr(trainer, name).load_state_dict(state[name])
    return int(state["step"])


def run(trainer: Trainer, work: Path, every: int, count: int) -> Iterator[dict[str, object]]:
    """Train to the end of the plan.

    Args:
        trainer: The trainer.
        work: Folder of the checkpoint.
        every: Steps between checkpoints.
        count: Questions a kind in each measurement.

    Yields:
        One line of the curves for every checkpoint.
    """
    start, losses = time.monotonic(), dict[str, float]()
    for step in range(load_state(trainer, work / "state.pt"), trainer.plan.total):
        loss, kind = train_step(trainer, step), lesson(trainer.plan, step)
        losses[kind] = 0.9 * losses.get(kind, loss) + 0.1 * loss
        done = step + 1
        if rank() == 0 and (done % every == 0 or done == trainer.plan.total):
            save_state(trainer, work / "state.pt", done)
            write_weights(MODEL_DIR, trainer.model)
            seconds = round(time.monotonic() - start, 1)
            yield {"step": done, "seconds": seconds, **losses, **measure(trainer, step, count)}


def _arguments() -> argparse.Namespace:
    """Read the command line: the work folder, and every number of the plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--count", type=int, default=96)
    for field in fields(Plan):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    return parser.parse_args()


def main() -> None:
    """Train, appending each line of the curves to `curves.jsonl` in the work folder."""
    arguments = _arguments()
    plan = Plan(**{field.name: getattr(arguments, field.name) for field in fields(Plan)})
    join()
    arguments.work.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.work / "plan.json", (json.dumps(asdict(plan)) + "\n").encode())
    torch.set_flush_denormal(True)
    trainer = make_trainer(plan, MODEL_DIR)
    with (arguments.work / "curves.jsonl").open("a", encoding="utf-8") as curves:
        for line in run(trainer, arguments.work, arguments.every, arguments.count):
            curves.write(json.dumps(line) + "\n")
            curves.flush()


if __name__ == "__main__":
    main()
