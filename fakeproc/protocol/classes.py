"""The classes of device that Hyper-V offers, by the names this project gives them.

The GUIDs are those of `include/linux/hyperv.h`.  What Linux makes of a class
is the guest's business (`fakeproc.guest.hv`).  A connection by socket has no
class of its own: its class GUID is the service that is connected to.
"""

from __future__ import annotations

from uuid import UUID

__all__ = [
    "CLASS_GUIDS",
    "HV_SOCK",
    "MAX_DISK_GIB",
    "MAX_PORT",
    "STORAGE",
    "port_of_service",
    "service_of_port",
]

CLASS_GUIDS: dict[str, UUID] = {
    name: UUID(guid)
    for name, guid in {
        "ide": "32412632-86cb-44a2-9b5c-50d1417354f5",
        "scsi": "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f",
        "fc": "2f9bcc4a-0069-4af3-b76b-6fd0be528cda",
        "netvsc": "f8615163-df3e-46c5-913f-f2d2f965ed0e",
        "netdirect": "8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501",
        "vpci": "44c4f61d-4444-4400-9d52-802e27ede19f",
        "framebuffer": "da0a7802-e377-4aac-8e77-0558eb1073f8",
        "keyboard": "f912ad6d-2b17-48ea-bd65-f927a61c7684",
        "mouse": "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a",
        "kvp": "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6",
        "timesync": "9527e630-d0ae-497b-adce-e80ab0175caf",
        "heartbeat": "57164f39-9115-4e78-ab55-382f3bd5422d",
        "shutdown": "0e0b6031-5213-4934-818b-38d90ced39db",
        "fcopy": "34d14be3-dee4-41c8-9ae7-6b174977c192",
        "vss": "35fa2e29-ea23-4236-96ae-3a6ebacba440",
        "balloon": "525074dc-8985-46e2-8057-a307dc18a502",
        "avma1": "f8e65716-3cb3-4a06-9a60-1889c5cccab5",
        "avma2": "3375baf4-9e15-4b30-b765-67acb10d607b",
        "rdv": "276aacf4-ac15-426c-98dd-7521ad3f01fe",
        "imc": "c376c1c3-d276-48d2-90a9-c04748072c60",
    }.items()
}

STORAGE = ("scsi", "ide", "fc")  # the classes of controllers that can have disks
MAX_DISK_GIB = 65_536  # 64 TiB, the largest that Hyper-V has
HV_SOCK = "hv_sock"  # what stands for a class where a connection by socket is meant
MAX_PORT = 0xFFFF_FFFE  # VMADDR_PORT_ANY - 1 (`include/uapi/linux/vm_sockets.h`)
_SERVICE = UUID("00000000-facb-11e6-bd58-64006a7986d3")  # `srv_id_template` of hyperv_transport.c


def service_of_port(port: int) -> UUID:
    """The service that stands for a port of AF_VSOCK: the template with the port in front."""
    return UUID(fields=(port, *_SERVICE.fields[1:]))


def port_of_service(service: UUID) -> int | None:
    """The port that a service stands for, None where it is not of the template."""
    return service.fields[0] if service.fields[1:] == _SERVICE.fields[1:] else None
