"""What an operator does by hand: workspaces, members, keys, accounts, endpoints, and a look inside.

No API key opens these; whoever may call them holds the deployment's own AWS rights.
"""
