"""What a process has claimed is left in peace by others, for as long as it lives."""

from pathlib import Path

from dagster import DagsterInstance

from lucid_pipeline.course.claims import claimed_partitions
from lucid_pipeline.instance.processes import registered_process


def test_what_a_process_claims_is_its_own_until_it_claims_other_things_or_ends(tmp_path: Path) -> None:
    assert claimed_partitions(tmp_path) == set()
    with (
        DagsterInstance.ephemeral() as instance,
        registered_process(instance, tmp_path) as one,
        registered_process(instance, tmp_path) as other,
    ):
        one.claim(f"long-{n}" for n in range(300))
        other.claim(["c"])
        one.claim(["a", "b"])
        assert claimed_partitions(tmp_path) == {"a", "b", "c"}
    assert claimed_partitions(tmp_path) == set()


def test_what_a_dead_process_had_claimed_is_free(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "dead").write_text("a\n")
    assert claimed_partitions(tmp_path) == set()
