"""ModifyChannel: the host shall interrupt another CPU for a channel.

Mirrors `drivers/hv/channel.c: vmbus_send_modifychannel` and
`channel_mgmt.c: vmbus_onmodifychannel_response`.
"""

from __future__ import annotations

from errno import EIO
from typing import TYPE_CHECKING

from fakeproc.guest.log import KERN_ERR
from fakeproc.protocol.messages import ModifyChannel, ModifyChannelResponse

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.placement import Placement
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["ModifyChannels"]


class ModifyChannels:
    """Sends the messages and counts them, for each connection; the counters are patch 11's.

    `reports_refusals` says whether a refusal by the host is an error in the
    log, as the series has it: without it the sender waits, and knows.
    """

    def __init__(
        self,
        placement: Placement,
        log: KernelLog,
        *,
        reports_refusals: bool,
    ) -> None:
        self._placement = placement
        self._log = log
        self._reports_refusals = reports_refusals

    def send(self, channel: Channel, cpu: int) -> None:
        """`vmbus_send_modifychannel` of the series: post the message, and believe it done.

        Raises OSError EINVAL on a protocol below 4.1, or what posting gives;
        the channel then stays on its CPU.
        """
        channel.connection.post(ModifyChannel(channel.relid, cpu))
        channel.connection.modify_sent += 1
        self._moved(channel, cpu)

    def send_and_wait(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """`vmbus_send_modifychannel` without the series: wait until the host agrees.

        Raises OSError EIO when the host refuses, cannot be reached or rescinds
        the channel meanwhile.
        """
        relid, connection = channel.relid, channel.connection
        with connection.awaiting(ModifyChannelResponse, relid, relid) as answered:
            try:
                connection.post(ModifyChannel(relid, cpu))
            except OSError as error:
                raise OSError(EIO, error.strerror) from error
            connection.modify_sent += 1
            if connection.has(ModifyChannelResponse):
                response = yield answered
                if isinstance(response, ModifyChannelResponse) and response.status:
                    raise OSError(EIO, f"the host refused to re-target channel {relid}")
        if channel.rescinded:
            raise OSError(EIO, f"the host has rescinded channel {relid}")
        self._moved(channel, cpu)

    def _moved(self, channel: Channel, cpu: int) -> None:
        channel.due(channel)  # what came before the move was where it was wanted
        old, channel.target_cpu = channel.target_cpu, cpu
        self._placement.moved(channel, old)

    def answered(self, response: ModifyChannelResponse, connection: Connection) -> None:
        """`vmbus_onmodifychannel_response`."""
        connection.modify_completed += 1
        connection.arrived(response.relid, response)
        if response.status and self._reports_refusals:
            self._log.say(
                f"hv_vmbus: Error status {response.status:x} in MODIFYCHANNEL response"
                f" for relid {response.relid}",
                KERN_ERR,
            )
