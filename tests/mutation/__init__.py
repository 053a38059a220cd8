"""Mutation testing of the inner rooms: each small fault put into them must fail a test.

``make mutate`` runs all of it; docs/mutation.md says how it works and what it found.
"""
