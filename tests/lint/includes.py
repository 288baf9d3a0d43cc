"""Checks that every C++ source includes the header of each standard name that it uses.

usage: includes.py [FILE ...]      (all tracked sources by default)

A source must not rely on a header that another header includes, because another compiler's headers may
not include it. foo.cpp may rely on the includes of foo.h in the same folder. A name of std:: or fmt::
that is missing from the tables below is reported too; add it there. size_t is not checked, because every
header defines it.
"""

import os
import pathlib
import re
import subprocess
import sys

SELF = "tests/lint/includes.py"
# A header, or several headers of which one is enough, and the names of std:: that need it.
STD = {
    "algorithm": """adjacent_find all_of any_of binary_search clamp copy copy_if copy_n count
        count_if equal fill fill_n find find_if for_each lower_bound max max_element min min_element
        minmax_element next_permutation none_of nth_element partial_sort ranges remove remove_if
        replace reverse rotate shuffle sort stable_partition stable_sort transform unique
        upper_bound""",
    "array": "array to_array",
    "atomic": """atomic atomic_flag memory_order_acq_rel memory_order_acquire memory_order_relaxed
        memory_order_release""",
    "bit": "bit_cast bit_ceil bit_width countr_zero endian has_single_bit popcount rotl rotr",
    "charconv": "from_chars to_chars",
    "chrono": "chrono chrono_literals",
    "cmath": """acos ceil copysign cos erf erfc exp exp2 expm1 floor fma fmod frexp hypot isfinite
        isinf isnan ldexp lgamma llround log log10 log1p log2 lround nan nanf nearbyint nextafter
        pow round signbit sin sqrt tanh trunc""",
    "cmath cstdlib": "abs",
    "csignal": "raise signal",
    "cstddef": "byte max_align_t ptrdiff_t",
    "cstdio": """FILE fclose ferror fflush fopen fprintf fputs fread fwrite printf puts snprintf
        sscanf""",
    "cstdlib": "_Exit abort atexit atoi exit free getenv malloc strtod strtoull",
    "cstring": "memcmp memcpy memmove memset strcmp strerror strlen strncpy",
    "deque": "deque",
    "exception": "current_exception exception_ptr rethrow_exception terminate",
    "exception stdexcept": "exception",
    "filesystem": "filesystem",
    "fstream": "ifstream ofstream",
    "functional": "cref function greater greater_equal hash less ranges::greater ranges::less ref",
    "future": "async future launch promise",
    "initializer_list": "initializer_list",
    "iomanip": "setfill setprecision setw",
    "ios fstream sstream iostream": "hex ios",
    "iostream": "cerr cin cout",
    "iterator": "advance back_inserter distance next prev",
    "iterator array deque map set span string string_view vector": "begin data end size ssize",
    "deque map set string unordered_map vector": "erase erase_if",
    "limits": "numeric_limits",
    "map": "map multimap",
    "memory": """make_shared make_unique make_unique_for_overwrite shared_ptr unique_ptr
        weak_ptr""",
    "mutex": "lock_guard mutex recursive_mutex scoped_lock unique_lock",
    "new": "align_val_t bad_alloc nothrow nothrow_t",
    "numbers": "numbers",
    "numeric": "accumulate gcd inner_product iota lcm partial_sum reduce",
    "optional": "nullopt optional",
    "ostream sstream iostream": "ostream",
    "queue": "priority_queue queue",
    "random": "mt19937 mt19937_64 normal_distribution uniform_real_distribution",
    "ranges": "ranges::views views",
    "set": "multiset set",
    "span": "as_bytes as_writable_bytes span",
    "sstream": "istringstream ostringstream stringstream",
    "stdexcept": "invalid_argument logic_error out_of_range runtime_error",
    "string": "getline stod stoi stoll stoul stoull string string_literals to_string u32string",
    "string_view": "string_view string_view_literals u32string_view",
    "system_error": "errc error_code generic_category system_error",
    "thread": "this_thread thread",
    "tuple": "apply tie tuple",
    "tuple array utility": "tuple_size_v",
    "tuple array utility variant": "get",
    "type_traits": """conditional_t decay_t invoke_result_t is_floating_point_v is_integral_v
        is_pointer_v is_same_v remove_const_t remove_cvref_t""",
    "unordered_map": "unordered_map",
    "utility": "declval exchange forward in_place make_pair pair swap",
    "utility algorithm": "move",
    "variant": "get_if variant visit",
    "vector": "vector",
}
OTHERS = {
    "cerrno": "errno",
    "cstdint": "int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t uintptr_t",
    "fmt/core.h fmt/format.h": "fmt::format fmt::format_string fmt::format_to fmt::print",
    "fmt/ranges.h": "fmt::join",
}
HEADERS = {prefix + name: headers.split() for prefix, table in (("std::", STD), ("", OTHERS))
           for headers, names in table.items() for name in names.split()}
# #include lines are kept, and so are numbers, because the ' in 200'000 starts no character literal. Raw
# strings, comments, strings and character literals are blanked.
TOKEN = re.compile(r"""(?P<kept>^[ \t]*\#[ \t]*include[^\n]*|\b\d[\w.']*) |
                       \bR"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)" | //[^\n]* | /\*.*?\*/ |
                       "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.M | re.X)
INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)""", re.M)
NAME = re.compile(r"(?<![\w:.>])(?:(?:std|fmt)(?:::\w+)+|u?int(?:\d+|ptr)_t\b|errno\b)")


def code_of(path):
    def blank(match):
        return match[0] if match["kept"] else re.sub(r"[^\n]", " ", match[0])

    return TOKEN.sub(blank, path.read_text())


def includes_of(code):
    """The headers that the source includes; <stdint.h> counts as <cstdint>."""
    names = set(INCLUDE.findall(code))
    return names | {"c" + name.removesuffix(".h") for name in names if name.endswith(".h")}


def check(path):
    """One line for each missing header, at the first name that needs it."""
    code = code_of(path)
    included = includes_of(code)
    if path.suffix == ".h" and not included:  # a list that is expanded where it is included
        return []
    beside = path.with_suffix(".h")
    if beside.exists() and any(name.split("/")[-1] == beside.name for name in included):
        included |= includes_of(code_of(beside))
    found = {}
    for match in NAME.finditer(code):
        name = match[0]
        while name not in HEADERS and name.count("::") > 1:
            name = name.rpartition("::")[0]
        headers = HEADERS.get(name)
        if headers and included.intersection(headers):
            continue
        problem = f"needs <{headers[0]}>" if headers else f"is not in the tables of {SELF}"
        line = code.count("\n", 0, match.start()) + 1
        found.setdefault(headers[0] if headers else name, f"{path}:{line}: {match[0]} {problem}")
    return list(found.values())


def main(arguments):
    if not arguments:
        os.chdir(pathlib.Path(__file__).resolve().parents[2])
        arguments = subprocess.run(["git", "ls-files", "*.h", "*.cpp", "*.cu"], check=True,
                                   capture_output=True, text=True).stdout.splitlines()
    paths = [path for path in map(pathlib.Path, arguments) if path.exists()]  # else: deleted
    found = [line for path in paths for line in check(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
