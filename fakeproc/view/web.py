"""The view in a browser on this computer: each page is a `fakeproc top` of its own.

An address that only the one who started it knows lets a browser in: whoever can
reach the port of the loopback address could otherwise act on the guest.
"""

from __future__ import annotations

import hmac
import secrets
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiohttp import web
from textual_serve.server import Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["serve"]

_ADDRESS = "127.0.0.1"
_COOKIE = "fakeproc-top"
_TEMPLATES = Path(__file__).with_name("templates")


class _Guarded(Server):
    """The server of textual-serve, for those who know the secret."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(
            command,
            host=_ADDRESS,
            port=port,
            title="fakeproc top",
            public_url=f"http://{_ADDRESS}:{port}",
            templates_path=_TEMPLATES,
        )
        self.secret = secrets.token_urlsafe(24)

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing yet: nobody listens at the address before all has started."""

    def announce(self, _listening: str) -> None:
        """Print the address."""
        click.echo(f"{self.public_url}/?token={self.secret}")
        click.echo("open this address in a browser on this computer; ends with ctrl+c", err=True)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let in who brings the secret, in the address or in the cookie that it has made."""
        token = request.query.get("token", "")
        if hmac.compare_digest(token.encode(), self.secret.encode()):
            answer = web.HTTPFound("/")
            answer.set_cookie(_COOKIE, self.secret, httponly=True, samesite="Strict")
            return answer
        cookie = request.cookies.get(_COOKIE, "")
        if not hmac.compare_digest(cookie.encode(), self.secret.encode()):
            raise web.HTTPForbidden(text="open the address that 'fakeproc top --web' has printed\n")
        return await handler(request)


def serve(mountpoint: Path | None, interval_s: float, port: int) -> None:
    """Serve the view of a guest, or of this computer, until a signal ends it.

    `port` 0 takes one that is free.  Raises OSError where the port is taken.
    """
    command = [sys.executable, "-m", "fakeproc", "top", "--interval", f"{interval_s:g}"]
    if mountpoint is not None:
        command.append(str(mountpoint))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        server = _Guarded(shlex.join(command), listener.getsockname()[1])
        web.run_app(server._make_app(), sock=listener, print=server.announce, access_log=None)  # noqa: SLF001
