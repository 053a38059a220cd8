"""The transitions of ``lifecycle``, by what they are about."""
