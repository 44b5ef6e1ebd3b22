# The public names of trio_http, for type checkers, editors and __init__.py alike.
# To all of them, "from a import b as b" makes a name public (PEP 484, "Stub files").

from trio_http.apps.cross_site import only_hosts as only_hosts, only_same_origin as only_same_origin
from trio_http.apps.routing import Router as Router
from trio_http.command.public_run import run as run
from trio_http.file_server.app import FilesApp as FilesApp, files as files
from trio_http.file_server.durability import Durability as Durability
from trio_http.file_server.unfinished_upload import StoredFile as StoredFile
from trio_http.file_server.permissions import Permissions as Permissions
from trio_http.http1.exchange import App as App, Exchange as Exchange, Handler as Handler
from trio_http.http1.app_lifetime import Servable as Servable, answering as answering
from trio_http.http1.server_events import (
    Connected as Connected,
    Crowded as Crowded,
    Disconnected as Disconnected,
    Ending as Ending,
    Failure as Failure,
    NotAccepting as NotAccepting,
    Record as Record,
    Report as Report,
    ServerEvent as ServerEvent,
)
from trio_http.semantics.behavior import Behavior as Behavior
from trio_http.semantics.bodies import (
    Body as Body,
    Chain as Chain,
    Encoded as Encoded,
    FileSlice as FileSlice,
    Pulse as Pulse,
    Send as Send,
    Stream as Stream,
)
from trio_http.semantics.cookies import Cookie as Cookie
from trio_http.semantics.errors import (
    ClientDisconnected as ClientDisconnected,
    HTTPError as HTTPError,
)
from trio_http.semantics.server_sent_events import (
    SendEvent as SendEvent,
    ServerSentEvent as ServerSentEvent,
)
from trio_http.semantics.form_field import FormField as FormField
from trio_http.semantics.forms import Form as Form
from trio_http.semantics.headers import Headers as Headers
from trio_http.semantics.limits import Limits as Limits
from trio_http.semantics.request import Request as Request
from trio_http.semantics.response import Compress as Compress, Response as Response
from trio_http.semantics.query_parameters import Parameters as Parameters
from trio_http.semantics.timeouts import Timeouts as Timeouts
from trio_http.serving.descriptors import fit_to_descriptors as fit_to_descriptors
from trio_http.serving.listeners import open_listeners as open_listeners
from trio_http.serving.single_stream import serve_stream as serve_stream
from trio_http.serving.server import Server as Server, serve as serve

__version__: str
