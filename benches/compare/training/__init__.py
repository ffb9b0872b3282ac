"""Temper's training beside PyTorch's."""
