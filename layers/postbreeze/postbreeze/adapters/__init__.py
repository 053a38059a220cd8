"""The ports on AWS, on social platforms and on the wire."""
