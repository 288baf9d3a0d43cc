#!/usr/bin/env python3
"""Checks the pages of `folio report` and `folio explain` in a browser: axe finds no serious problem,
nothing is wider than the screen, and plots are shown and can be switched without scripts.

usage: tests/report/page_check.py FOLIO      (needs chromium and chromedriver)
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import environment
import tiny

if not (shutil.which("chromium") and shutil.which("chromedriver")):
    print("SKIPPED: chromium or chromedriver is missing (apt-get install chromium "
          "chromium-driver), so the pages were not checked", file=sys.stderr)
    sys.exit(77)
environment.use("page-check", [*environment.BROWSER, "axe-core-python"],
                "selenium.webdriver, axe_core_python.selenium")

# pylint: disable=wrong-import-position
from axe_core_python.selenium import Axe

import browser as chromium

FAILURES = []


def expect(condition, message):
    if not condition:
        FAILURES.append(message)
        print("FAILED:", message)


def check_axe(page):
    for width, scheme in ((390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")):
        with chromium.browser(width, scheme) as driver:
            driver.get(page.as_uri())
            wide, _ = chromium.page_size(driver)
            expect(wide <= width, f"{page.name} is {wide} pixels wide on a screen of {width}")
            for violation in Axe().run(driver)["violations"]:
                where = [node["target"] for node in violation["nodes"]][:3]
                print(f"{page.name}, {width}, {scheme}: axe {violation['impact']}: "
                      f"{violation['id']}: {violation['help']} {where}")
                expect(violation["impact"] not in ("serious", "critical"),
                       f"{page.name}: axe {violation['id']}")


def check_without_scripts(page):
    with chromium.browser(1440, scripts=False, height=9000) as driver:
        driver.get(page.as_uri())
        plots = chromium.visible_boxes(driver, ".curves svg.plot")
        expect(len(plots) == 4 and all(w > 200 and h > 100 for _, _, w, h in plots),
               f"{page.name}: without scripts the plots are {plots}")
        [(x, y, width, height)] = chromium.visible_boxes(driver, "label[for=x-time]")
        chromium.click(driver, x + width / 2, y + height / 2)
        plots = chromium.visible_boxes(driver, ".curves .time svg.plot")
        expect(len(plots) == 4, f"{page.name}: by time there are {len(plots)} plots without scripts")
        expect(not chromium.visible_boxes(driver, ".curves .step svg.plot"),
               f"{page.name}: plots by step stay")


def check_reading(page):
    with chromium.browser(1440) as driver:
        driver.get(page.as_uri())
        driver.execute_script("document.querySelector('.curves').scrollIntoView()")
        box = driver.execute_script(
            "const b = document.querySelector('.wide.step.linear svg').getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]")
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", {
            "type": "mouseMoved", "x": box[0] + box[2] / 2, "y": box[1] + box[3] / 2})
        read = driver.execute_script("return document.querySelector('.reading:not([hidden])')"
                                     "?.textContent ?? ''")
        expect("step" in read and "validation" in read, f"{page.name}: hovering reads '{read}'")


def main():
    folio = pathlib.Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="folio-pages-") as temporary:
        folder = pathlib.Path(temporary)
        runs = [tiny.train(folio, folder, name, f"train.seed={seed}", f"optimizer.lr={lr}")
                for name, seed, lr in (("first", 1, 0.01), ("second", 2, 0.003),
                                       ("a-third-with-a-long-name", 3, 0.03))]
        one, three, explained = (folder / name for name in ("one.html", "three.html",
                                                            "explain.html"))
        for command in (("report", runs[0], "--out", one), ("report", *runs, "--out", three),
                        ("explain", runs[0], "--prompt", "HAMLET: no, my", "--out", explained)):
            subprocess.run([folio, *command], check=True, stdout=subprocess.DEVNULL)
        for page in (one, three, explained):
            check_axe(page)
        for page in (one, three):
            check_without_scripts(page)
            check_reading(page)
    if FAILURES:
        sys.exit(f"{len(FAILURES)} failed")
    print("the pages pass: axe finds no serious problem, they fit the screen, and they work without scripts")


if __name__ == "__main__":
    main()
