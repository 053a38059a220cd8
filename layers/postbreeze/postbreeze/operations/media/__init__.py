"""The media library: adding, reading and deleting assets, and what posts need of them."""
