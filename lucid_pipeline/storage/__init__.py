"""Code location `session-storage`: from ciphertext to a signed manifest. It sees no plaintext."""
