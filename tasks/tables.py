"""Find the benchmarks' tables, read each once, and count what is in them."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.evaluation.benchmark import Benchmark
from infra.evaluation.catalog import named
from infra.evaluation.fetch import benchmarks_at, locate
from infra.evaluation.rules import rule_set
from infra.evaluation.table import read_table
from tasks.evalspecs import BenchmarksSpec, TableRef
from tasks.policies import NETWORK_BACKOFF, network_trouble


@task(
    name="find-benchmarks",
    task_run_name="find and check the benchmarks",
    retries=len(NETWORK_BACKOFF),
    retry_delay_seconds=NETWORK_BACKOFF,
    retry_condition_fn=network_trouble,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def find_benchmarks(asked: BenchmarksSpec, cache: Path) -> tuple[TableRef, ...]:
    """Check every table down to its pictures, before a model is asked anything.

    Args:
        asked: Which benchmarks, and where they are.
        cache: Folder of what is downloaded.

    Raises:
        UnknownRulesError: There are no rules of that name.
        UnknownBenchmarkError: There is no benchmark of that name.
        TableSourceError: A table cannot be had.
        TableError: A table cannot be used as it is.
    """
    rule_set(asked.rules)
    benchmarks = benchmarks_at(asked.source, cache)
    found = (named(name, benchmarks) for name in asked.names)
    return tuple(look_at(locate(asked.source, each, cache), each) for each in found)


def look_at(path: Path, benchmark: Benchmark) -> TableRef:
    """Read a table down to its pictures, and return what later steps need to know of it.

    Raises:
        TableError: It cannot be used as it is.
    """
    table = read_table(path, benchmark)
    return TableRef(
        benchmark=benchmark,
        path=path,
        sha256=table.sha256,
        rows=table.rows,
        questions=len(table.questions),
        dropped=table.dropped,
        notes=table.notes,
    )
