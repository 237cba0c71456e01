"""What every answer carries, and how a refusal is said."""

import json
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["HEADERS", "RefusalError", "refusal_json"]

_OFF = (
    "accelerometer",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "; ".join(
            [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' blob:",
                "connect-src 'self'",
                "media-src 'self' blob:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(["camera=(self)", *(f"{name}=()" for name in _OFF)]),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
"""Security headers of every answer."""


class RefusalError(Exception):
    """A request is not answered as asked.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : str
        For programs.
    message : str
        For people; it tells nothing but what the client sent and what would be right.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def refusal_json(code: str, message: str) -> str:
    """Return the body of a refusal."""
    return json.dumps({"error": {"code": code, "message": message}}) + "\n"
