"""Take pictures from clients, and show them.

    trio-http app trio_http.examples.uploads:app
    curl --data-binary @cat.png localhost:4221/pictures/cat.png
    curl localhost:4221/pictures/cat.png

Open http://localhost:4221/ in a browser to choose pictures there. They are kept in the directory
``pictures``. Each is there whole or not at all, whatever ends its upload, and takes no more
memory than a piece of it.
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

# Anything else could be a page, whose scripts would run as if they were this site's own.
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
    """Serve with the directory ``pictures``, which is made unless it exists."""
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

    yield only_same_origin(router)  # the pages of other sites cannot upload anything
