"""Code location `session-recorder`: where recordings arrive. It sees plaintext and holds no keys."""
