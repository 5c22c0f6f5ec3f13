"""The guest's end of the VMBus: `drivers/hv` and the drivers of its devices.

From the top: `vmbus` wires the room and handles what the host sends; `suspend`
and `offline` are what power management and CPU hotplug call; `drivers` open
channels by `channel_ops`; `retarget`, `irqchip` and `modify` move them;
`channel_table` maps relids to IRQs; `placement`, `synic`, `connection` and
`channel` are state.  No part knows one above it.

Invariants:

- A channel is in the table of its connection exactly while its relid is mapped.
  With patch 8 it has an IRQ for just as long, and is that IRQ's chip data unless
  a channel of another connection has taken its place in a domain of both.
- `Channel.target_cpu` changes when the channel is placed (`ChannelTable.add`)
  and when a ModifyChannel was sent (`ModifyChannels`), nowhere else.
- The rings of a channel exist from the beginning of its opening to the end of
  its closing; a failed open leaves none.
- A device's lock is held while a driver binds, unbinds or reopens it.
- A wait for the host's answer ends when the answer comes or the channel is
  rescinded, whichever is first.
"""
