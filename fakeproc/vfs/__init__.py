"""What procfs and sysfs do with a path, an open file, a mode, an errno; knows no FUSE.

`mount` serves these rules to a kernel, `namespace` to callers within this process.
What holds here, whoever asks:

- One request at a time.  Every operation enters through `request.request`, which
  holds the one lock of the machine, runs the machine up to now, and answers with an
  errno whatever happens.  Below it nothing locks and nothing waits.
- Nodes of `files.tree` are made afresh at every look-up and are compared by their
  `owner`.  An open file or directory belongs to the owner it was opened for: once
  its path leads to another one, it belongs to what has gone (`OpenFile.node`).
- A text is rendered once for a reader, at the read from offset 0, and cut into pieces
  for as long as it goes on from where it was (`OpenFile.text`, `seq_file`): a reader
  sees one moment.
- A cached node, link count or text never outlives a write, an event or 50 ms of the
  machine's own time (`cache`), so that what is read depends on nothing but the machine.
- What chmod, chown, utimensat and setxattr have changed is kept apart from the nodes
  (`setattr`), and is forgotten with the owner.
- A path is a string of the bytes that the caller gave, one character a byte, absolute
  within its file system and without links: whoever walks has followed them
  (`namespace`, or the kernel).
"""
