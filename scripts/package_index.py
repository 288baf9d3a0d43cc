"""Downloads one source archive from the places that pip on this machine is configured to use.

Unlike `pip download`, which would run the archive's setup.py, this module only reads the
archive as bytes, checked by sha256, and executes nothing.
"""

import ast
import base64
import hashlib
import html
import http.client
import os
import re
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 20


class Failure(Exception):
    """An error, shown as one line: what is wrong, where, and what to do."""


def pip_settings():
    """(settings, address of the default index) of pip on this machine."""
    ask_default = "from pip._internal.models.index import PyPI as i; print(i.simple_url)"
    reasons = []
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        try:
            listed = subprocess.run([python, "-m", "pip", "config", "list"], check=True,
                                    capture_output=True, text=True, timeout=60).stdout
            default = subprocess.run([python, "-c", ask_default], check=True,
                                     capture_output=True, text=True, timeout=60).stdout.strip()
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip()
            reasons.append(f"{python}: {said.splitlines()[-1] if said else 'failed'}")
            continue
        found = {}
        for line in listed.splitlines():
            key, separator, value = line.partition("=")
            if separator:
                found[key] = str(ast.literal_eval(value))
        settings = {}
        for section in ("global.", "download.", ":env:."):  # later ones take precedence
            settings |= {key[len(section):]: value for key, value in found.items()
                         if key.startswith(section)}
        return settings, default
    raise Failure("pip is needed to find the package index, but it does not run here ("
                  + "; ".join(reasons) + "): install it (apt-get install python3-pip)")


class Fetcher:
    """Reads addresses with pip's certificate and proxy settings."""

    def __init__(self, settings):
        context = ssl.create_default_context(cafile=settings.get("cert"))
        handlers = [urllib.request.HTTPSHandler(context=context)]
        if "proxy" in settings:
            handlers.append(urllib.request.ProxyHandler(
                {"http": settings["proxy"], "https": settings["proxy"]}))
        self.opener = urllib.request.build_opener(*handlers)
        self.authorization = {}  # host -> header

    def read(self, address):
        """(final address, bytes); a user and password in the address go into a header."""
        parts = urllib.parse.urlsplit(address)
        user, at, host = parts.netloc.rpartition("@")
        if at:
            token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
            self.authorization[host] = "Basic " + token
        request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host)))
        if host in self.authorization:
            request.add_unredirected_header("Authorization", self.authorization[host])
        with self.opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.geturl(), answer.read()

    def addresses_on(self, page_address, archive):
        """The addresses on the page whose file is the archive."""
        base, page = self.read(page_address)
        found = []
        text = page.decode("utf-8", "replace")
        for link in re.findall(r"""href\s*=\s*["']([^"']+)["']""", text):
            address = urllib.parse.urldefrag(urllib.parse.urljoin(base, html.unescape(link)))[0]
            if urllib.parse.unquote(urllib.parse.urlsplit(address).path).endswith("/" + archive):
                found.append(address)
        if not found:
            raise Failure(f"no {archive} on its page")
        return found


def checked(content, archive, sha256):
    """The archive's bytes, after the sha256 check."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Failure(f"{archive} there has sha256 {found}, not {sha256}")
    return content


def read_from(place, package, archive, sha256, fetcher):
    """The archive from one place: a folder, a page of links or (with `package`) an index."""
    if "://" not in place or place.startswith("file://"):
        folder = os.path.expanduser(place)
        if "://" in place:
            folder = urllib.request.url2pathname(urllib.parse.urlsplit(place).path)
        with open(os.path.join(folder, package, archive), "rb") as file:
            return checked(file.read(), archive, sha256)
    page = place.rstrip("/") + f"/{package}/" if package else place
    reasons = []
    for address in fetcher.addresses_on(page, archive):
        try:
            return checked(fetcher.read(address)[1], archive, sha256)
        except (Failure, OSError, http.client.HTTPException) as error:
            reasons.append(str(error))
    raise Failure("; ".join(reasons))


def download(package, archive, sha256):
    """The archive's bytes, from the first place of pip's settings that has the right ones."""
    settings, default = pip_settings()
    places = [(place, "") for place in settings.get("find-links", "").split()]
    if settings.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        indexes = [settings.get("index-url", default)]
        indexes += settings.get("extra-index-url", "").split()
        places += [(place, package) for place in indexes]
    if not places:
        raise Failure("pip is set to use no index (no-index) and has no other place (find-links)")
    fetcher = Fetcher(settings)
    reasons = []
    for place, under in places:
        try:
            return read_from(place, under, archive, sha256, fetcher)
        except (Failure, OSError, ValueError, http.client.HTTPException) as error:
            reasons.append(re.sub(r"//[^/@]*@", "//", f"{place}: {error}"))
    raise Failure(f"no {archive} in the places that pip is configured to use: " + "; ".join(reasons))
