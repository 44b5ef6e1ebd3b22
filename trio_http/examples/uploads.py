"""Receive pictures from clients, and show them.

    trio-http app trio_http.examples.uploads:app
    curl --data-binary @cat.png localhost:4221/pictures/cat.png
    curl localhost:4221/pictures/cat.png

Open http://localhost:4221/ in a browser to choose pictures there. They are stored in the
directory ``pictures``. An interrupted upload leaves no partial file, and an upload needs only
the memory of one piece.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trio_http import (
    App,
    HTTPError,
    Permissions,
    Request,
    Response,
    Router,
    files,
    only_same_origin,
)

# Other files could be pages, whose scripts would run as if they belonged to this site.
SUFFIXES = {".gif", ".jpeg", ".jpg", ".png", ".webp"}

PAGE = """<!doctype html><title>Pictures</title><input type="file" multiple><p></p><script>
const input = document.querySelector("input"), list = document.querySelector("p");
input.onchange = async () => {
    for (const file of input.files) {
        const url = "pictures/" + encodeURIComponent(file.name);
        const response = await fetch(url, {method: "POST", body: file});
        if (response.ok) list.appendChild(new Image()).src = url;
        else list.append(await response.text());
    }
};
</script>"""


@asynccontextmanager
async def app() -> AsyncIterator[App]:
    """Serve with the directory ``pictures``, which is created if necessary."""
    await trio.Path("pictures").mkdir(exist_ok=True)
    pictures = files("pictures", allow=Permissions.LISTING | Permissions.WRITING)
    router = Router()
    router.mount("/pictures", pictures, methods=["GET"])

    @router.get("/")
    async def show(request: Request) -> Response:
        return Response.html(PAGE)

    @router.post("/pictures/{name}")
    async def upload(request: Request, name: str) -> Response:
        if Path(name).suffix.lower() not in SUFFIXES:
            raise HTTPError(
                415, f"a picture is expected, with one of {', '.join(sorted(SUFFIXES))}"
            )
        stored = await pictures.store(request, name)
        fields = {"Location": request.mount + request.path, "ETag": stored.etag}
        return Response(201 if stored.is_new else 204, fields)

    yield only_same_origin(router)  # pages of other sites cannot upload anything
