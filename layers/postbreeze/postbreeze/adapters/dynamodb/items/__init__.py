"""Rows as PynamoDB models, one module for what belongs together."""
