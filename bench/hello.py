"""The bare function: the time of functions-framework itself to start and to answer."""

import flask
import functions_framework


@functions_framework.http
def hello(request: flask.Request) -> str:
    """Answer."""
    return "hello"
