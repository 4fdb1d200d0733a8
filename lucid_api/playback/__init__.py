"""What was recorded, as a person saw it: the bytes themselves, and of terminal casts their text and their events."""
