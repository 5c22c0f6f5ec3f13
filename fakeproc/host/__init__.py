"""The emulated Hyper-V: devices, relids, messages, interrupts and their faults.

Invariants: a channel has a relid, and is in `Relids.taken`, exactly while its
state is not FREE; it is interrupted for only while it is OPEN; where its
interrupts go (`target_vp`) changes when the guest opens it and when the host
acts on a ModifyChannel, in the order in which the messages came.
"""
