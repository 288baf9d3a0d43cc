"""Tests which folder may include which, and the size limit of the core.

usage: rooms_test.py BUILD_DIR

A forbidden include must fail to build. Each is compiled with the command of a source of the including
folder, from BUILD_DIR/compile_commands.json.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()

# The folders that a folder may include besides itself; it may also include what those may include.
MAY_INCLUDE = {
    "tensor": [], "kernels": ["tensor"], "autograd": ["kernels"], "layers": ["autograd"],
    "io": ["tensor"], "optim": ["autograd", "io"], "data": ["io"], "models": ["layers", "data"],
    "comm": ["autograd"], "inference": ["models", "comm"], "tasks": ["inference"],
    "run": ["tasks", "optim"], "train": ["run"], "inspect": ["train"], "report": ["inspect"],
    "cli": ["report"],
}

CORE_LINES = 8000
FAMILY_LINES = 400
CORE = ["tensor", "autograd", "autograd/ops", "layers", "optim", "train"]
# The interfaces of models and tasks; every other file there is a family or a task.
INTERFACES = {
    "models": ["model", "decoder_state", "families", "huggingface"],
    "tasks": ["task", "tasks", "token_task"],
}


def allowed(room):
    rooms = {room}
    for other in MAY_INCLUDE[room]:
        rooms |= allowed(other)
    return rooms


def sources(folder):
    return sorted(path for path in (ROOT / folder).iterdir() if path.suffix in (".h", ".cpp"))


def lines(path):
    return len(path.read_text().splitlines())


class Rooms(unittest.TestCase):
    def test_a_forbidden_include_fails_to_build(self):
        commands = {}
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            file = pathlib.Path(entry["file"])
            if file.is_relative_to(ROOT) and file.suffix == ".cpp":
                commands.setdefault(file.relative_to(ROOT).parts[0], entry)
        with tempfile.TemporaryDirectory() as folder:
            probe = pathlib.Path(folder) / "probe.cpp"
            for room in MAY_INCLUDE:
                words = shlex.split(commands[room]["command"])
                flags = [w for w in words if w.startswith(("-I", "-std", "-D"))]
                compiler = next(w for w in words if re.search(r"(\+\+|cc)(-\d+)?$", w)
                                and "ccache" not in w)
                for other in sorted(MAY_INCLUDE.keys() - allowed(room) - {"cli"}):
                    header = next(path for path in sources(other) if path.suffix == ".h")
                    probe.write_text(f'#include "folio/{other}/{header.name}"\n')
                    result = subprocess.run([compiler, *flags, "-fsyntax-only", probe], check=False,
                                            capture_output=True, text=True)
                    self.assertNotEqual(result.returncode, 0, f"{room} can include {other}")
                    self.assertRegex(result.stderr, "No such file|file not found",
                                     f"{room} including {other}")

    def test_no_source_includes_against_the_table(self):
        for room in MAY_INCLUDE:
            for path in (ROOT / room).rglob("*"):
                if path.suffix not in (".h", ".cpp", ".cu"):
                    continue
                for other in re.findall(r'#include "folio/(\w+)/', path.read_text()):
                    self.assertIn(other, allowed(room), f"{path.relative_to(ROOT)}")

    def test_nothing_outside_models_names_a_family(self):
        families = re.findall(r"model_entry<(\w+?)Config>",
                              (ROOT / "models/families.cpp").read_text())
        self.assertIn("Gpt", families)
        name = re.compile(rf"\b({'|'.join(families)})(Config|Model|Options)?\b")
        for room in MAY_INCLUDE.keys() - {"models", "layers"}:
            for path in (ROOT / room).rglob("*"):
                if path.suffix in (".h", ".cpp", ".cu"):
                    self.assertIsNone(name.search(path.read_text()), f"{path.relative_to(ROOT)}")

    def test_the_core_stays_small(self):
        core = [path for folder in CORE for path in sources(folder)]
        core += [path for folder, stems in INTERFACES.items() for path in sources(folder)
                 if path.stem in stems]
        total = sum(map(lines, core))
        print(f"the core has {total} lines, of at most {CORE_LINES}")
        self.assertLess(total, CORE_LINES)

    def test_a_family_or_a_task_is_a_short_file(self):
        for folder, stems in INTERFACES.items():
            for path in sources(folder):
                if path.stem not in stems:
                    self.assertLessEqual(lines(path), FAMILY_LINES, path.name)


unittest.main()
