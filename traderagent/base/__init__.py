"""What every other part shares; imports nothing of the package but itself."""
