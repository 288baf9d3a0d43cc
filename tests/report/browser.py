"""A headless Chromium that shows pages."""

import base64
import contextlib
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@contextlib.contextmanager
def browser(width, scheme="light", scripts=True, height=900, scale=1):
    """A page of `width` pixels. If scripts are off, Driver.execute_script does not work either."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500})
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        yield driver
    finally:
        driver.quit()


def visible_boxes(driver, selector):
    """The width and height of the elements that are laid out; needs no scripts in the page."""
    root = driver.execute_cdp_cmd("DOM.getDocument", {})["root"]["nodeId"]
    found = driver.execute_cdp_cmd("DOM.querySelectorAll", {"nodeId": root, "selector": selector})
    boxes = []
    for node in found["nodeIds"]:
        try:
            model = driver.execute_cdp_cmd("DOM.getBoxModel", {"nodeId": node})["model"]
        except Exception:  # pylint: disable=broad-except
            continue  # elements with display: none have no box
        boxes.append((model["content"][0], model["content"][1], model["width"], model["height"]))
    return boxes


def click(driver, x, y):
    for kind in ("mousePressed", "mouseReleased"):
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", {
            "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1})


def page_size(driver):
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    return size["width"], size["height"]


def screenshot(driver, path, width, height, top=0):
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {
        "captureBeyondViewport": True,
        "clip": {"x": 0, "y": top, "width": width, "height": height, "scale": 1}})
    path.write_bytes(base64.b64decode(shot["data"]))
