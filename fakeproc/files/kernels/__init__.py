"""What files look like by kernel version and by architecture: two tables, and what they name."""
