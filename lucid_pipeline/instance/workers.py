"""Whether the process of a run lives: it holds a lock from its first step to its end, and the system takes it back.

The lock is on one byte of one file, in a place that follows from the run's id: there is nothing to clean up, however
many runs there are. Two runs share a place once in 2^62.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from dagster import DagsterEvent, Executor, ExecutorDefinition, InitExecutorContext, in_process_executor
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor
from typing_extensions import override

_FILE = "workers"
_PLACES = 2**62
_held: list[int] = []


def hold(folder: Path, run_id: str) -> None:
    """Say that this process works on a run, until it ends.

    Args:
        folder: the instance's.
        run_id: the run.
    """
    descriptor = _open(folder)
    _held.append(descriptor)
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _place(run_id))


def is_held(folder: Path, run_id: str) -> bool:
    """Whether another process than this one works on a run."""
    descriptor = _open(folder)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(run_id))
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder / _FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _place(run_id: str) -> int:
    return UUID(run_id).int % _PLACES


class _WatchedExecutor(InProcessExecutor):
    @override
    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        hold(Path(plan_context.instance.root_directory), plan_context.run_id)
        yield from super().execute(plan_context, execution_plan)


def _watch(context: InitExecutorContext) -> Executor:
    create = in_process_executor.executor_creation_fn
    assert create
    plain = create(context)
    assert isinstance(plain, InProcessExecutor)
    return _WatchedExecutor(plain.retries, plain.step_dependency_config)


watched_executor = ExecutorDefinition(
    "in_process",
    config_schema=in_process_executor.config_schema.as_field(),
    executor_creation_fn=_watch,
    description="All steps in the process of the run, as Dagster's own executor does it; others can tell if it lives.",
)
