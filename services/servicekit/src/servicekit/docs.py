"""The API's documentation as a page (Swagger UI), without a script from anywhere else."""

from html import escape

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A file of its own: content security policies forbid inline scripts.
_START = """const element = document.getElementById("docs")
SwaggerUIBundle({ url: element.dataset.openapi, domNode: element, deepLinking: true })
"""


def add_docs(app: FastAPI, path: str) -> None:
    """Serves the documentation at `path`, and what it needs below it."""
    page = f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{escape(app.title)}</title>
    <link rel="icon" href="{path}/assets/favicon.png">
    <link rel="stylesheet" href="{path}/assets/swagger-ui.css">
  </head>
  <body>
    <div id="docs" data-openapi="{app.openapi_url}"></div>
    <script src="{path}/assets/swagger-ui-bundle.js"></script>
    <script src="{path}/start.js"></script>
  </body>
</html>
"""

    @app.get(path, include_in_schema=False)
    async def docs() -> Response:
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @app.get(f"{path}/start.js", include_in_schema=False)
    async def docs_start() -> Response:
        return Response(_START, media_type="text/javascript")

    app.mount(f"{path}/assets", StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-assets")
