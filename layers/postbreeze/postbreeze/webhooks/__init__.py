"""What a webhook request is: its signature, its body and headers, and when it is tried again."""
