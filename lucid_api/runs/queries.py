"""What Dagster is asked, in its GraphQL.

Of an error only class and message are asked for, for the service's log: stacks and configuration stay where they are.
"""

_FAULT = """
fragment fault on PythonError { className message }
"""

_RUN = """
fragment run on Run {
  runId jobName status creationTime startTime endTime
  tags { key value }
  assetSelection { path }
  repositoryOrigin { repositoryLocationName }
}
"""

_METADATA = """
fragment metadata on MetadataEntry {
  __typename label description
  ... on TextMetadataEntry { text }
  ... on IntMetadataEntry { intRepr }
  ... on FloatMetadataEntry { floatRepr }
  ... on BoolMetadataEntry { boolValue }
  ... on JsonMetadataEntry { jsonString }
  ... on MarkdownMetadataEntry { mdStr }
  ... on UrlMetadataEntry { url }
  ... on PathMetadataEntry { path }
  ... on TimestampMetadataEntry { timestamp }
  ... on PipelineRunMetadataEntry { runId }
  ... on AssetMetadataEntry { assetKey { path } }
  ... on JobMetadataEntry { jobName }
}
"""

RUNS = f"""
query runs($filter: RunsFilter, $cursor: String, $limit: Int!) {{
  runsOrError(filter: $filter, cursor: $cursor, limit: $limit) {{
    __typename
    ... on Runs {{ results {{ ...run }} }}
    ...fault
  }}
}}
{_RUN}{_FAULT}"""

RUN = f"""
query run($runId: ID!) {{
  runOrError(runId: $runId) {{
    __typename
    ...run
    ...fault
  }}
}}
{_RUN}{_FAULT}"""

EVENTS = f"""
query events($runId: ID!, $cursor: String, $limit: Int!) {{
  runOrError(runId: $runId) {{
    __typename
    ...run
    ...fault
  }}
  logsForRun(runId: $runId, afterCursor: $cursor, limit: $limit) {{
    __typename
    ... on EventConnection {{
      cursor hasMore
      events {{
        __typename
        ... on MessageEvent {{ eventType timestamp level stepKey message }}
        ... on MaterializationEvent {{ partition metadataEntries {{ ...metadata }} }}
        ... on ObservationEvent {{ partition metadataEntries {{ ...metadata }} }}
        ... on ExecutionStepFailureEvent {{ failureMetadata {{ metadataEntries {{ ...metadata }} }} }}
      }}
    }}
    ...fault
  }}
}}
{_RUN}{_METADATA}{_FAULT}"""

PARTITION_KEYS = """
query partitionKeys($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    __typename
    ... on AssetNode { partitionKeys }
  }
}
"""

LINEAGE = f"""
query lineage($assets: [AssetKeyInput!]!, $partition: String!, $limit: Int!) {{
  assetNodes(assetKeys: $assets) {{
    id
    assetKey {{ path }}
    latestRunForPartition(partition: $partition) {{ ...run }}
    assetMaterializations(partitions: [$partition], limit: $limit) {{
      runId timestamp metadataEntries {{ ...metadata }}
    }}
    assetObservations(partitions: [$partition], limit: $limit) {{
      runId timestamp metadataEntries {{ ...metadata }}
    }}
  }}
}}
{_RUN}{_METADATA}"""

HEALTH = """
query health {
  version
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError {
    __typename
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename } } }
  }
}
"""

LAUNCH = f"""
mutation launch($params: ExecutionParams!) {{
  launchRun(executionParams: $params) {{
    __typename
    ... on LaunchRunSuccess {{ run {{ ...run }} }}
    ...fault
  }}
}}
{_RUN}{_FAULT}"""

ADD_PARTITION = f"""
mutation addPartition($repository: RepositorySelector!, $definition: String!, $key: String!) {{
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $definition, partitionKey: $key) {{
    __typename
    ...fault
  }}
}}
{_FAULT}"""

CANCEL = f"""
mutation cancel($runId: String!) {{
  terminateRun(runId: $runId, terminatePolicy: SAFE_TERMINATE) {{
    __typename
    ...fault
  }}
}}
{_FAULT}"""
