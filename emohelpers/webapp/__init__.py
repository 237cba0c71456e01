"""The page: recognise expressions in photos and before the webcam, in the browser.

`serve` runs it on this machine; `create_app` is the same as a WSGI application for another server.
Pictures are decoded in memory, and neither written nor logged.
"""

from emohelpers.webapp._app import create_app
from emohelpers.webapp._limits import Limits
from emohelpers.webapp._server import Server, create_server, serve

__all__ = ["Limits", "Server", "create_app", "create_server", "serve"]
