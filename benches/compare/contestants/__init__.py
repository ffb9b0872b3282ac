"""The contestants, one a file."""
