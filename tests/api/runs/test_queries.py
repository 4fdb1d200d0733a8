"""What Dagster is asked is in its own schema's words, and whatever it can answer is foreseen."""

from collections.abc import Iterator

import pytest
from dagster_graphql.schema import create_schema
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    get_named_type,
    parse,
    validate,
)

from lucid_api.runs import queries
from lucid_api.runs.dagster import PROBLEMS
from lucid_api.runs.decoding import ENTRIES
from lucid_api.runs.models import RunStatus

DOCUMENTS = {name: document for name, document in vars(queries).items() if name.isupper() and name[0] != "_"}
EXPECTED = {
    "runsOrError": {"Runs"},
    "runOrError": {"Run"},
    "logsForRun": {"EventConnection"},
    "assetNodeOrError": {"AssetNode"},
    "workspaceOrError": {"Workspace"},
    "launchRun": {"LaunchRunSuccess"},
    "addDynamicPartition": {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"},
    "terminateRun": {"TerminateRunSuccess", "TerminateRunFailure"},
}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return create_schema().graphql_schema


def roots(document: DocumentNode) -> Iterator[tuple[str, str]]:
    """Kind of operation and name of each root field."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            for field in definition.selection_set.selections:
                assert isinstance(field, FieldNode)
                yield definition.operation.value, field.name.value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_question_is_valid_in_dagsters_schema(name: str, schema: GraphQLSchema) -> None:
    assert validate(schema, parse(DOCUMENTS[name])) == []


def test_every_answer_that_the_schema_knows_is_expected_or_a_problem(schema: GraphQLSchema) -> None:
    types = {"query": schema.query_type, "mutation": schema.mutation_type}
    asked = set()
    for document in DOCUMENTS.values():
        for operation, name in roots(parse(document)):
            root = types[operation]
            assert root
            union = get_named_type(root.fields[name].type)
            if isinstance(union, GraphQLUnionType):
                asked.add(name)
                members = {member.name for member in union.types}
                assert members - EXPECTED[name] <= PROBLEMS.keys(), name
    assert asked == EXPECTED.keys()


def test_every_status_of_a_run_is_known(schema: GraphQLSchema) -> None:
    assert {status.name for status in RunStatus} == set(schema.type_map["RunStatus"].values)  # type: ignore[attr-defined]


def test_every_kind_of_metadata_that_is_read_is_one(schema: GraphQLSchema) -> None:
    kinds = {kind.name for kind in schema.get_implementations(schema.type_map["MetadataEntry"]).objects}  # type: ignore[arg-type]
    assert kinds >= ENTRIES.keys()
