"""How a recording arrives, whoever brings it: what lies beside it, how it is registered and its file known again."""
