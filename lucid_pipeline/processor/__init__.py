"""Code location `chunk-processor`: from plaintext to ciphertext. It holds public keys only."""
