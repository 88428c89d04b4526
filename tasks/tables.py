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
    return tuple(_found(named(name, benchmarks), asked.source, cache) for name in asked.names)


def _found(benchmark: Benchmark, source: str | None, cache: Path) -> TableRef:
    path = locate(source, benchmark, cache)
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
