"""A candidate: the pair of exports that a tagged commit of a staging repository stands for."""

from pathlib import Path
from typing import NamedTuple

from infra.card.facts import ReleaseFacts, read_facts
from infra.card.papers import FACTS
from infra.checkpoints.plan import G_IDX_FILE
from infra.errors import CandidateError
from infra.files import explaining
from infra.promotion.restore import provenance, restore
from infra.publishing.hub import Hub


class Candidate(NamedTuple):
    """The exports of one candidate, as they were verified, and what is known of them."""

    auto_round: Path
    auto_gptq: Path
    facts: ReleaseFacts


def fetch(hub: Hub, repo_id: str, commit: str, folder: Path) -> Candidate:
    """Fetch the candidate that a commit of a staging repository stands for.

    The commit holds the auto_round checkpoint; its `release.json` names the commit of the
    auto_gptq one.

    Args:
        hub: Where the repository is.
        repo_id: The repository.
        commit: The 40 digits of the commit.
        folder: Where the exports go; what is there already is not fetched again.

    Raises:
        CandidateError: The commit is no candidate, or its pair does not fit together.
        InfraError: The Hub refuses or does not answer, or the disk refuses.
    """
    main = hub.download(repo_id, commit, folder / commit)
    facts = _facts(main, repo_id, commit)
    told = facts.published
    if told is None or told.gptq_commit is None:
        raise CandidateError(
            f"{repo_id} at {commit[:7]} does not say which commit holds its auto_gptq checkpoint. "
            "Tag the commit on the main branch, which holds the auto_round one and names the other."
        )
    side = hub.download(told.gptq_repo_id, told.gptq_commit, folder / told.gptq_commit)
    exports = folder / f"{commit}-exports"
    for snapshot, kind in ((main, "auto_round"), (side, "auto_gptq")):
        if not (exports / kind).exists():
            restore(snapshot, exports / kind)
    candidate = Candidate(exports / "auto_round", exports / "auto_gptq", facts)
    require_pair(candidate)
    return candidate


def require_pair(candidate: Candidate) -> None:
    """Require that both exports hold the same words, learned from the model that the facts name.

    Raises:
        CandidateError: They do not.
    """
    folders = {"auto_round": candidate.auto_round, "auto_gptq": candidate.auto_gptq}
    told = {kind: provenance(folder) for kind, folder in folders.items()}
    for kind, each in told.items():
        if each.get("format") != kind:
            raise CandidateError(
                f"The candidate's {kind} checkpoint says of itself that it is "
                f"{each.get('format')!r}. Publish both formats anew with `roundhouse run`."
            )
        if each.get("source", {}).get("digest") != candidate.facts.source.digest:
            raise CandidateError(
                f"The candidate's {kind} checkpoint was made from another 16-bit model than its "
                f"{FACTS} says. Publish it anew with `roundhouse run`."
            )
    if _weights(told["auto_round"]) != _weights(told["auto_gptq"]):
        raise CandidateError(
            "The candidate's two checkpoints hold different weights: they are not of one run. "
            "Publish both formats anew with `roundhouse run`."
        )


def _facts(snapshot: Path, repo_id: str, commit: str) -> ReleaseFacts:
    path = snapshot / FACTS
    if not path.is_file():
        raise CandidateError(
            f"{repo_id} at {commit[:7]} holds no {FACTS}, so it is no candidate of "
            "Roundhouse. Tag a revision that `roundhouse run` has published."
        )
    with explaining(path, "reading"):
        data = path.read_bytes()
    return read_facts(data, f"{repo_id} at {commit[:7]}")


def _weights(told: dict[str, object]) -> dict[str, object]:
    """Return the weight files of an export, by name, but for what auto_gptq alone has."""
    files = told.get("files")
    assert isinstance(files, dict)  # noqa: S101 -- restoring has looked
    return {
        name: each["sha256"]
        for name, each in files.items()
        if name.endswith(".safetensors") and name != G_IDX_FILE
    }
