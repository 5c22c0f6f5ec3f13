"""Linux interrupts: the generic layer (`kernel/irq`) and the chips that steer them.

Invariants: a descriptor is in `IrqCore.descs` from `create` to `free`; it
counts on a CPU only while it has an action; `affinity` changes only where its
chip has accepted it (`IrqCore.program`), so a refused write changes nothing.
"""
