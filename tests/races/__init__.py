"""Real races on an engine's tables: who races (``kinds``), how (``racing``), and what then holds.

``make prove ONLY=races`` runs all of it.
"""
