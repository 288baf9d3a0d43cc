"""Tests of includes.py: what it reports, and what it accepts."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import includes  # noqa: E402


class IncludesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self, text, name="a.cpp"):
        path = self.folder / name
        path.write_text(text)
        return [line.removeprefix(f"{self.folder}/") for line in includes.check(path)]

    def test_a_missing_header_is_found_where_it_is_first_needed(self):
        self.assertEqual(
            self.check("#include <vector>\n\nstd::vector<std::string> a;\nstd::string b;\n"),
            ["a.cpp:3: std::string needs <string>"])

    def test_what_is_included_passes(self):
        self.assertEqual(self.check("#include <string>\n# include <stdint.h>\n"
                                    "std::string a(std::string::npos, ' ');\nint64_t b;\n"), [])

    def test_one_of_several_headers_is_enough(self):
        self.assertEqual(self.check("#include <span>\nauto n = std::ssize(a);\n"), [])
        self.assertEqual(self.check("auto n = std::ssize(a);\n"),
                         ["a.cpp:1: std::ssize needs <iterator>"])

    def test_a_name_with_a_prefix_of_its_own(self):
        self.assertEqual(self.check("std::ranges::sort(a, std::ranges::greater{});\n"),
                         ["a.cpp:1: std::ranges::sort needs <algorithm>",
                          "a.cpp:1: std::ranges::greater needs <functional>"])

    def test_plain_names_and_fmt(self):
        self.assertEqual(self.check('int64_t a = errno;\nfmt::format("{}", fmt::join(b, ","));\n'),
                         ["a.cpp:1: int64_t needs <cstdint>", "a.cpp:1: errno needs <cerrno>",
                          "a.cpp:2: fmt::format needs <fmt/core.h>",
                          "a.cpp:2: fmt::join needs <fmt/ranges.h>"])

    def test_comments_and_strings_are_not_code(self):
        self.assertEqual(self.check("// std::vector\n/* std::map\n#include <string>\n std::set */\n"
                                    'f("std::span \\" std::byte", \'"\');  // it\'s std::array\n'
                                    'g(R"x(std::deque " )" std::pair)x");\n'), [])
        # An include in a comment does not count, and code continues after each comment.
        self.assertEqual(self.check("/*\n#include <string>\n*/ std::string a;\n"),
                         ["a.cpp:3: std::string needs <string>"])
        self.assertEqual(self.check("#include <map>\n// std::span\nf(\"std::set\");\n"), [])
        self.assertEqual(self.check("f(R\"(')\", '\"', 200'000); std::string b;\n"),
                         ["a.cpp:1: std::string needs <string>"])

    def test_the_header_of_the_same_stem_is_enough_if_it_is_included(self):
        self.assertEqual(self.check("#include <string>\n", "a.h"), [])
        self.assertEqual(self.check('#include "folio/x/a.h"\nstd::string a;\n'), [])
        self.assertEqual(len(self.check('#include "folio/x/b.h"\nstd::string a;\n')), 1)
        self.assertEqual(len(self.check('#include "folio/x/a.h"\nstd::string a;\n', "b.cpp")), 1)

    def test_names_of_other_libraries_are_left_alone(self):
        self.assertEqual(self.check("other::string a; my::std::string b; x.errno; my_int64_t c;\n"),
                         [])

    def test_an_unknown_name_is_reported(self):
        self.assertEqual(self.check("std::flat_map<int, int> a;\n"),
                         ["a.cpp:1: std::flat_map is not in the tables of tests/lint/includes.py"])


if __name__ == "__main__":
    unittest.main()
