"""Greet people by name: routes, a query, cookies, and an error that clients see.

    trio-http app trio_http.examples.hello:app
    curl 'localhost:4221/hello/Ada?greeting=good+morning'

prints ``good morning, Ada``. In a browser, http://localhost:4221/ counts its visits.
"""

from trio_http import Cookie, HTTPError, Request, Response, Router

app: Router = Router()


@app.get("/")
async def count_visits(request: Request) -> Response:
    """Show how often this browser has visited; the browser keeps the number in a cookie."""
    cookie = request.cookies.get("visits", "0")
    visits = int(cookie) + 1 if cookie.isdecimal() and len(cookie) < 9 else 1
    response = Response.html(f"<!doctype html><title>Hello</title><p>This is visit {visits}.")
    return response.with_cookie(Cookie("visits", str(visits), max_age=30 * 24 * 60 * 60))


@app.get("/hello/{name}")
async def greet(request: Request, name: str) -> Response:
    """Greet by name, with the greeting in the query or else "hello"."""
    greeting = request.query.get("greeting", "hello")
    return Response.text(f"{greeting}, {name}\n")


@app.get("/squares/{number:int}")
async def square(request: Request, number: int) -> Response:
    """Send a square as JSON; a path without a number is a 404 anyway."""
    if number > 1_000_000:
        raise HTTPError(422, "numbers up to a million only")
    return Response.json({"number": number, "square": number**2})
