"""Strategies, one a file: parameters, features and a rule that answers with orders."""
