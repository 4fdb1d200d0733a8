"""Sessions: found, described, counted; and recordings that are brought."""
