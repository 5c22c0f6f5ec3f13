"""The mount: paths, open files, permissions and errnos, and the daemon that serves them.

What a file says and does is declared in `fakeproc.files`; what every file has
in common is done here, once:

- `binding`      the FUSE library of this machine, whichever it is
- `flavours`     in what procfs, sysfs and the host console differ, as data
- `boundary`     one request at a time, and what becomes of exceptions
- `operations`   what the kernel asks of a file system
- `sysfs`        what kernfs checks and keeps on top of that
- `permissions`  the owner, group and other of the real kernel
- `paths`        from paths to nodes
- `handles`      open files: a reader sees one moment
- `glimpses`     what was just seen, for the requests that follow
- `changes`      what chmod, chown, touch and setfattr have changed
- `daemon`       three mounts, one process, and their orderly end
- `mountpoints`  where one can mount, and where not and why
- `mountinfo`    what is mounted, and unmounting
- `ending`       the end of a mount, whatever state it is in
- `registry`     the mounts of this user
- `processes`    who is alive, and going into the background
"""
