"""Describes the machine and runs programs on it."""

import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Failed(Exception):
    """An error that ends a comparison; it says what to do."""


# Variables that hold the programs to AVX2 on a CPU that has more: Folio, then PyTorch (its own kernels and those
# that it compiles, oneDNN, MKL).
HELD_TO_AVX2 = dict(FOLIO_ISA="avx2", ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2",
                    MKL_ENABLE_INSTRUCTIONS="AVX2")


def machine(held_to=None):
    """CPU model, the vector instruction set in use, the cores that this process may use, and the load."""
    about = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        about.setdefault(key.strip(), value.strip())
    flags = (about.get("flags") or about.get("Features") or "").split()
    model = about.get("model name", platform.machine())
    if "cpu family" in about:  # two generations may have the same name
        model += f" (family {about['cpu family']}, model {about.get('model')})"
    isa = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else platform.machine()
    if "avx512_bf16" in flags:
        isa += "-bf16"
    if held_to:
        isa += f"-held-to-{held_to}"
    return dict(cpu=model, isa=isa, cores=len(os.sched_getaffinity(0)),
                load_average_before=round(os.getloadavg()[0], 2))


def run(command, threads, what):
    """Runs one program. Returns standard output, standard error, wall-clock seconds and peak memory in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        except OSError as error:
            raise Failed(f"could not run {what}: {error}")
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if process.returncode != 0:
            raise Failed(f"{what} ended with {process.returncode}:\n{errors.read().strip()[-2000:]}")
        return out.read(), errors.read(), wall, usage.ru_maxrss / 1024


def python_of(venv):
    return pathlib.Path(venv) / "bin/python"


def prepare_venv(venv):
    """Makes the virtual environment with the peers, outside the tree, if it is missing."""
    def has_peers():
        return python_of(venv).exists() and subprocess.run(
            [python_of(venv), "-c", "import torch, numpy, yaml, transformers"], capture_output=True).returncode == 0

    if has_peers():
        return
    print(f"installing torch, numpy, pyyaml and transformers into {venv}", file=sys.stderr)
    for command in ([sys.executable, "-m", "venv", venv],
                    [python_of(venv), "-m", "pip", "install", "torch", "numpy", "pyyaml", "transformers"]):
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise Failed(f"could not make the virtual environment {venv}; the command was\n"
                         f"  {' '.join(str(part) for part in command)}\n"
                         "On Debian or Ubuntu it needs the package python3-venv. --venv DIR uses one that has torch.")
