"""Functions that do as little as a function can: what is measured is held against them."""
