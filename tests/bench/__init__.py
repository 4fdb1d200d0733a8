"""The benchmark of design section 7: Lucid beside its peers, same bytes, same run."""
