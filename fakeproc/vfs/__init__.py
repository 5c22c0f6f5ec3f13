"""What procfs and sysfs do with a path, a handle, a mode, an errno; knows no FUSE."""
