"""What requests cost in time, round trips, capacity and money, and how that grows."""
