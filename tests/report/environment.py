"""Makes a virtual environment with Python packages that only the checks in this folder need."""

import os
import pathlib
import subprocess
import sys


# The packages that control a browser.
BROWSER = ["selenium", "urllib3", "trio", "trio-websocket", "certifi", "typing-extensions",
           "websocket-client", "attrs", "sortedcontainers", "outcome", "sniffio", "wsproto", "h11",
           "idna"]


def use(name, packages, probe):
    """Runs the calling script again in the environment `name`, which it makes if it is missing.

    The module `probe` must be importable. If the packages cannot be installed, ends the script with status
    77 and a message.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "folio" / name
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix) == folder:
        return
    works = python.exists() and subprocess.run([python, "-c", f"import {probe}"], check=False,
                                               stderr=subprocess.DEVNULL).returncode == 0
    if not works:
        print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr)
        for command in ([sys.executable, "-m", "venv", "--clear", folder],
                        [python, "-m", "pip", "install", "--quiet", "--no-deps",
                         "--disable-pip-version-check", *packages]):
            result = subprocess.run(command, check=False, capture_output=True, text=True)
            if result.returncode != 0:
                print(f"SKIPPED: {' '.join(map(str, command[:4]))} ... failed, so this was not "
                      f"checked:\n{(result.stderr or result.stdout)[-600:]}", file=sys.stderr)
                sys.exit(77)
    os.execv(python, [python, *sys.argv])
