"""libfuse: three mounts, one process, and their orderly end."""
