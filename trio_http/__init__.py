"""A structured-concurrency HTTP/1.1 server on Trio and h11: the public names.

Each is loaded when it is first asked for, so that who needs one of them, or the
version alone, does not wait for Trio and all the others.
"""

from importlib import import_module

__version__ = "0.1.0"

__all__ = [
    "App",
    "Body",
    "Chain",
    "ClientDisconnected",
    "Compress",
    "Connected",
    "Cookie",
    "Crowded",
    "Disconnected",
    "Encoded",
    "Ending",
    "Exchange",
    "Failure",
    "FileSlice",
    "Form",
    "FormField",
    "HTTPError",
    "Handler",
    "Headers",
    "Limits",
    "NotAccepting",
    "Parameters",
    "Permissions",
    "Pulse",
    "Record",
    "Report",
    "Request",
    "Response",
    "Router",
    "Send",
    "SendEvent",
    "Servable",
    "Server",
    "ServerEvent",
    "ServerSentEvent",
    "Stream",
    "Timeouts",
    "__version__",
    "answering",
    "files",
    "fit_to_descriptors",
    "only_hosts",
    "only_same_origin",
    "open_listeners",
    "serve",
    "serve_stream",
]

# What type checkers and editors read, and what happens; a test sees that both say
# the same. Checkers must not see ``__getattr__``: they would believe any name.
TYPE_CHECKING = False  # by this name they know it; the module "typing" takes its time to load
if TYPE_CHECKING:
    from trio_http.apps.cross_site import only_hosts, only_same_origin
    from trio_http.apps.routing import Router
    from trio_http.file_server.app import files
    from trio_http.file_server.permissions import Permissions
    from trio_http.http1.connection import serve_stream
    from trio_http.http1.exchange import App, Exchange, Handler
    from trio_http.http1.lifetime import Servable, answering
    from trio_http.http1.reports import (
        Connected,
        Crowded,
        Disconnected,
        Ending,
        Failure,
        NotAccepting,
        Record,
        Report,
        ServerEvent,
    )
    from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Pulse, Send, Stream
    from trio_http.semantics.cookies import Cookie
    from trio_http.semantics.errors import ClientDisconnected, HTTPError
    from trio_http.semantics.events import SendEvent, ServerSentEvent
    from trio_http.semantics.forms import Form, FormField
    from trio_http.semantics.headers import Headers
    from trio_http.semantics.limits import Limits
    from trio_http.semantics.messages import Compress, Request, Response
    from trio_http.semantics.parameters import Parameters
    from trio_http.semantics.timeouts import Timeouts
    from trio_http.serving.descriptors import fit_to_descriptors
    from trio_http.serving.listeners import open_listeners
    from trio_http.serving.server import Server, serve
else:
    _NAMES = {
        "apps.cross_site": "only_hosts only_same_origin",
        "file_server.permissions": "Permissions",
        "file_server.app": "files",
        "apps.routing": "Router",
        "http1.connection": "serve_stream",
        "http1.exchange": "App Exchange Handler",
        "http1.lifetime": "Servable answering",
        "http1.reports": "Connected Crowded Disconnected Ending Failure NotAccepting Record Report "
        "ServerEvent",
        "semantics.bodies": "Body Chain Encoded FileSlice Pulse Send Stream",
        "semantics.cookies": "Cookie",
        "semantics.errors": "ClientDisconnected HTTPError",
        "semantics.events": "SendEvent ServerSentEvent",
        "semantics.forms": "Form FormField",
        "semantics.headers": "Headers",
        "semantics.limits": "Limits",
        "semantics.messages": "Compress Request Response",
        "semantics.parameters": "Parameters",
        "semantics.timeouts": "Timeouts",
        "serving.descriptors": "fit_to_descriptors",
        "serving.listeners": "open_listeners",
        "serving.server": "Server serve",
    }
    _ROOM_OF = {name: room for room, names in _NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """A public name that was not asked for before (PEP 562)."""
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        globals()[name] = value  # from now on it is found without us
        return value

    def __dir__() -> list[str]:
        """The public names, whether they are loaded or not."""
        return list(__all__)
