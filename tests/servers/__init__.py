"""Servers that tests run against, in processes of their own."""
