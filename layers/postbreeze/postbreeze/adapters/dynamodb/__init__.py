"""The tables in DynamoDB. PynamoDB and its models stay in this folder."""
