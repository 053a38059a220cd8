"""What a post is and what may happen to it: values and pure functions."""
