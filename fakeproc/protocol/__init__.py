"""What guest and host exchange, and all that they know of each other."""
