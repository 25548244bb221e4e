"""One registry over HTTP: authentication, redirects, repeated tries, and errors that say what is wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from limani.distribution.auth import DOCKER_HOST, Credentials, parse_challenges
from limani.errors import BadInput, Forbidden, LimaniError, SourceUnavailable, Unauthenticated
from limani.image.reference import DOCKER_IO

TRIES = 4
"""How often one request is sent at most when the network or the server fails."""

_REDIRECTS = 5
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_TIMEOUT = httpx2.Timeout(60.0, connect=15.0)
_MAX_TOKEN = 1 << 20
_HINT = "Give credentials for this registry (a pull secret or docker login) that may pull the repository."


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class RegistrySession:
    """GET requests to one repository. Use as an async context manager.

    ``plain_http``: http instead of https. ``insecure``: do not check the certificate. ``ca_file``: trust these
    certificates besides the system's. Raises BadInput for a CA file that cannot be read.
    """

    def __init__(
        self,
        registry: str,
        repository: str,
        credentials: Credentials | None,
        *,
        ca_file: str | Path | None,
        plain_http: bool,
        insecure: bool,
    ) -> None:
        self.registry, self._repository, self._credentials = registry, repository, credentials
        host = DOCKER_HOST if registry == DOCKER_IO else registry
        self._plain_http = plain_http
        self._base = f"{'http' if plain_http else 'https'}://{host}/v2/{repository}"
        self._http = httpx2.AsyncClient(verify=_tls(ca_file, insecure), timeout=_TIMEOUT, follow_redirects=False)
        registry_token = credentials.registry_token if credentials else ""
        self._authorization = f"Bearer {registry_token}" if registry_token else ""
        self._renewing = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def get(self, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[httpx2.Response]:
        """GET below the repository's URL; the body has yet to be read. Answers below 400, and 404 and 416, are given.

        Raises SourceUnavailable, Unauthenticated, Forbidden.
        """
        answer = await self._authorised(path, headers or {})
        try:
            if answer.status_code >= 400 and answer.status_code not in (404, 416):
                raise self._refusal(answer, path)
            yield answer
        except httpx2.TransportError as error:
            raise self.broken(error) from error
        finally:
            await answer.aclose()

    def broken(self, error: Exception) -> SourceUnavailable:
        """The error for a connection that failed."""
        if _tls_failed(error):
            return SourceUnavailable(
                f"No trusted connection to the registry {self.registry}: {error}.",
                hint="Name its CA certificate (ca_file), or say plain_http if it does not speak TLS.",
                registry=self.registry,
            )
        return SourceUnavailable(
            f"The registry {self.registry} does not answer: {str(error) or type(error).__name__}.",
            registry=self.registry,
        )

    # --- authentication ----------------------------------------------------------------------------------------------

    async def _authorised(self, path: str, headers: dict[str, str]) -> httpx2.Response:
        """Send, answering a challenge once (a token may be missing or have expired)."""
        used = self._authorization
        answer = await self._sent(f"{self._base}{path}", headers, used)
        if answer.status_code != 401:
            return answer
        challenges = parse_challenges(answer.headers.get_list("WWW-Authenticate"))
        await answer.aclose()
        async with self._renewing:
            if self._authorization == used:  # else another request has renewed it meanwhile
                self._authorization = await self._answer({c.scheme: dict(c.parameters) for c in reversed(challenges)})
        return await self._sent(f"{self._base}{path}", headers, self._authorization)

    async def _answer(self, challenges: dict[str, dict[str, str]]) -> str:
        """The Authorization header a challenge asks for."""
        if "bearer" in challenges:
            return f"Bearer {await self._token(challenges['bearer'])}"
        if "basic" in challenges and self._credentials and self._credentials.username:
            return self._credentials.basic()
        if "basic" in challenges:
            raise Unauthenticated(f"The registry {self.registry} wants credentials; none are known for it.", hint=_HINT)
        asked = ", ".join(sorted(challenges)) or "nothing"
        raise SourceUnavailable(f"The registry {self.registry} asks for an unknown authentication: {asked[:80]}.")

    async def _token(self, challenge: dict[str, str]) -> str:
        """A token of the service the challenge names (distribution: "Token Authentication" and its OAuth2 form)."""
        realm = challenge.get("realm", "")
        target = urlsplit(realm)
        if target.scheme not in ("http", "https") or not target.hostname:
            raise SourceUnavailable(f"The registry {self.registry} names no token service that can be asked.")
        if target.scheme == "http" and not self._plain_http:
            raise SourceUnavailable(
                f"The registry {self.registry} wants credentials sent to {target.hostname} without encryption.",
                hint="Say plain_http if that is really meant.",
            )
        scope = challenge.get("scope") or f"repository:{self._repository}:pull"
        query = {key: value for key, value in (("service", challenge.get("service", "")), ("scope", scope)) if value}
        known = self._credentials
        try:
            if known and known.identity_token:
                form = {**query, "grant_type": "refresh_token", "client_id": "limani"}
                answer = await self._http.post(realm, data={**form, "refresh_token": known.identity_token})
            else:
                headers = {"Authorization": known.basic()} if known and known.username else {}
                answer = await self._http.get(realm, params=query, headers=headers)
        except httpx2.TransportError as error:
            raise SourceUnavailable(
                f"The token service {target.hostname} of the registry {self.registry} does not answer:"
                f" {str(error) or type(error).__name__}."
            ) from error
        if answer.status_code in (400, 401, 403):
            raise Unauthenticated(
                f"The token service {target.hostname} refuses {self._who()} for {self.registry}"
                f" (status {answer.status_code}).",
                hint=_HINT,
            )
        try:
            if answer.status_code != 200 or len(answer.content) > _MAX_TOKEN:
                raise msgspec.DecodeError
            found = msgspec.json.decode(answer.content, type=_Token)
        except msgspec.DecodeError:
            text = f"The token service {target.hostname} gave no token (status {answer.status_code})."
            raise SourceUnavailable(text) from None
        return found.token or found.access_token

    def _who(self) -> str:
        if self._credentials is None:
            return "anonymous access"
        return f"user {self._credentials.username!r}" if self._credentials.username else "the identity token"

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _sent(self, url: str, headers: dict[str, str], authorization: str) -> httpx2.Response:
        """Send, following redirects; tries again where the network fails or the server is overloaded."""
        for left in reversed(range(TRIES)):
            try:
                answer = await self._redirected(url, headers, authorization)
            except httpx2.TransportError as error:
                if not left or _tls_failed(error):
                    raise self.broken(error) from error
                await asyncio.sleep(_PAUSE_S)
                continue
            if not left or (answer.status_code != 429 and answer.status_code < 500):
                return answer
            await answer.aclose()
            await asyncio.sleep(_pause(answer))
        raise AssertionError("unreachable")

    async def _redirected(self, url: str, headers: dict[str, str], authorization: str) -> httpx2.Response:
        target = httpx2.URL(url)
        for _ in range(_REDIRECTS):
            # Blob storage of other hosts must not learn who we are to the registry.
            ours = _origin(target) == _origin(httpx2.URL(self._base))
            sent = {"Accept-Encoding": "identity", **headers}
            if ours and authorization:
                sent["Authorization"] = authorization
            answer = await self._http.send(self._http.build_request("GET", target, headers=sent), stream=True)
            if answer.status_code not in (301, 302, 303, 307, 308):
                return answer
            await answer.aclose()
            try:
                new = target.join(answer.headers.get("Location", ""))
            except httpx2.InvalidURL as error:
                raise SourceUnavailable(f"The registry {self.registry} redirects to nowhere.") from error
            if new.scheme != "https" and not (self._plain_http and new.scheme == "http"):
                raise SourceUnavailable(
                    f"The registry {self.registry} redirects to {new.scheme}://{new.host}, not to https."
                )
            target = new
        raise SourceUnavailable(f"The registry {self.registry} redirects more than {_REDIRECTS} times.")

    def _refusal(self, answer: httpx2.Response, path: str) -> LimaniError:
        what = f"the registry {self.registry} ({path})"
        if answer.status_code == 401:
            return Unauthenticated(f"{self._who().capitalize()} was not accepted by {what}.", hint=_HINT)
        if answer.status_code == 403:
            return Forbidden(f"{self._who().capitalize()} may not pull from {what}.", hint=_HINT)
        return SourceUnavailable(f"The status {answer.status_code} came from {what}.", status=answer.status_code)


def _origin(url: httpx2.URL) -> tuple[Any, ...]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _tls_failed(error: BaseException | None) -> bool:
    """Whether TLS is what failed; then trying again is pointless."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _pause(answer: httpx2.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text) if text.isascii() and text.isdecimal() else _PAUSE_S, _LONGEST_PAUSE_S)


def _tls(ca_file: str | Path | None, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise BadInput(f"The CA certificate {ca_file} cannot be used: {error}.", path=str(ca_file)) from error
    return context
