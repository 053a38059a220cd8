"""Postbreeze: a scheduler for social posts whose cancelled posts never go out."""
