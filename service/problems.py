"""Errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from service import errors

MEDIA_TYPE = "application/problem+json"


def problem_response(problem: errors.Problem, error: Exception | None, request_id: str, path: str = "") -> Response:
    """The problem as a response; Retry-After wherever coming back later makes sense, and how to show who one is."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, errors.ComeBack):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="likeness"'
    if isinstance(error, errors.BodyTimeout):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    members = errors.body(problem, error, request_id)
    if path.startswith("/v2"):  # clients of the Open Inference Protocol read this member and no other
        places = [each["pointer"] for each in members.get("errors", ())]
        members["error"] = " ".join([members.get("detail", problem.title), *places])
    return JSONResponse(members, problem.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error that a client can cause as a problem."""

    @app.exception_handler(errors.LikenessError)
    async def refused(request: Request, error: errors.LikenessError) -> Response:
        problem = errors.problem_of(error)
        request.app.state.telemetry.refused(problem, error)
        return problem_response(problem, error, request.state.request_id, request.url.path)

    @app.exception_handler(HTTPException)
    async def routed(request: Request, error: HTTPException) -> Response:
        problem = errors.http_problem(error.status_code)
        request.app.state.telemetry.refused(problem, error)
        response = problem_response(problem, error, request.state.request_id, request.url.path)
        response.headers.update(error.headers or {})
        return response
