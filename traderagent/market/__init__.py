"""Candles in: sources, checks, frames, and the embedded synthetic market."""
