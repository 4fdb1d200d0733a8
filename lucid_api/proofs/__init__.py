"""What lets anybody check a session without trusting this service: manifests, ciphertext, proofs, verifications."""
