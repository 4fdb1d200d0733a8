"""What the three code locations agree on: partitions, asset keys, specs, and how a batch of sessions is worked on."""
