"""Who asks, and what they may: keys, sessions of browsers, scopes, and the record of what was done."""
