"""nginx, configured to do the same work as the other servers, in its own prefix."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from .cases import Log, Manner
from .servers import content

# Replaces defaults that would make nginx slower or less patient than the others: connections
# end after a thousand requests, and the backlog is 511.
TEMPLATE = """\
daemon off;
{user}
worker_processes {processes};
worker_rlimit_nofile {files};
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
  access_log {log};
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 75;
  client_max_body_size 0;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = / {{ default_type "{text_type}"; return 200 "{text}"; }}
    location ~ ^/echo/([^/]+)$ {{ default_type "{text_type}"; return 200 $1; }}
    location /files/ {{ alias "{files_folder}/"; }}
    location = /json {{
      default_type {json_type};
      alias "{files_folder}/{document}";
      gzip on;
      gzip_comp_level 1;
      gzip_types {json_type};
    }}
    {uploads}
  }}
}}
"""

UPLOADS = 'location /uploads/ {{ dav_methods PUT; alias "{folder}/"; }}'


def configuration(port: int, manner: Manner, directory: Path, descriptors: int) -> str:
    """Return the configuration file."""
    return TEMPLATE.format(
        user=_user(),
        files=descriptors,
        connections=max(descriptors - 64, 64),
        processes=manner.processes,
        log="/dev/stdout" if manner.log is Log.ON else "off",
        port=port,
        text=content.TEXT,
        text_type=content.TEXT_TYPE,
        json_type=content.JSON_TYPE,
        document=content.DOCUMENT,
        files_folder=directory / content.FILES,
        uploads=UPLOADS.format(folder=directory / content.UPLOADS),
    )


def _user() -> str:
    """Return a directive that keeps workers root: another user could not read the files."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"
