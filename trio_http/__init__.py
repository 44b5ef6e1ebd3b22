"""A structured-concurrency HTTP/1.1 server on Trio and h11: the public names."""

from trio_http.apps.directory import Allow
from trio_http.apps.files import files
from trio_http.apps.routing import Router
from trio_http.http1.connection import serve_stream
from trio_http.http1.exchange import App, Exchange, Handler, answering
from trio_http.http1.record import (
    Connected,
    Disconnected,
    Ending,
    Event,
    Failure,
    Record,
    Report,
)
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Pulse, Send, Stream
from trio_http.semantics.cookies import Cookie
from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.events import SendEvent, ServerSentEvent
from trio_http.semantics.forms import Field, Form
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Compress, Request, Response
from trio_http.semantics.parameters import Parameters
from trio_http.serving.listeners import open_listeners
from trio_http.serving.server import Server, serve

__version__ = "0.1.0"

__all__ = [
    "Allow",
    "App",
    "Body",
    "Chain",
    "ClientDisconnected",
    "Compress",
    "Connected",
    "Cookie",
    "Disconnected",
    "Encoded",
    "Ending",
    "Event",
    "Exchange",
    "Failure",
    "Field",
    "FileSlice",
    "Form",
    "HTTPError",
    "Handler",
    "Headers",
    "Limits",
    "Parameters",
    "Pulse",
    "Record",
    "Report",
    "Request",
    "Response",
    "Router",
    "Send",
    "SendEvent",
    "Server",
    "ServerSentEvent",
    "Stream",
    "Timeouts",
    "__version__",
    "answering",
    "files",
    "open_listeners",
    "serve",
    "serve_stream",
]
