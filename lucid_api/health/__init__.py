"""Whether the service can do its work, part by part, and what it has done, in figures."""
