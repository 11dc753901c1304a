"""What the suites of both SDKs share: a runner that prints a line for each test, and the fixtures.

The gateway is at BASE_URL. CONTROL_URL tells what the simulated provider behind it saw:
/calls?mark=TEXT how many requests held a text, /cancelled how many answers were given up because the client left.
"""

import os
import time
import traceback
import urllib.parse
import urllib.request

BASE_URL = os.environ["BASE_URL"]
CONTROL_URL = os.environ["CONTROL_URL"]
# May use sim-openai and sim-anthropic below /guarded, where others may use nothing.
CALLER_KEY = os.environ["CALLER_KEY"]
SCHEMAS = ["openai", "azure", "anthropic", "gemini", "ollama"]

# A red square of one pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}


def control(path, **query):
    with urllib.request.urlopen(f"{CONTROL_URL}/{path}?{urllib.parse.urlencode(query)}", timeout=60) as r:
        return int(r.read())


def calls(mark):
    return control("calls", mark=mark)


def eventually(what, holds, wait=60.0):
    end = time.monotonic() + wait
    while not holds():
        assert time.monotonic() < end, f"not within {wait} s: {what}"
        time.sleep(0.01)


class raises:
    """The block must raise kind; the error is in value."""

    def __init__(self, kind):
        self.kind, self.value = kind, None

    def __enter__(self):
        return self

    def __exit__(self, got, value, _):
        assert got is not None, f"no {self.kind.__name__} was raised"
        if not issubclass(got, self.kind):
            return False
        self.value = value
        return True


def run(sdk, tests):
    """Runs tests: those that take a model with each schema's, the others once. Gives the number of failures."""
    failed = 0
    for test in tests:
        takes_model = test.__code__.co_argcount > 0
        for schema in SCHEMAS if takes_model else [""]:
            name = f"{sdk} {test.__name__.removeprefix('test_')} {schema}".strip()
            try:
                test("sim-" + schema) if takes_model else test()
                print("ok  ", name, flush=True)
            except Exception:
                failed += 1
                print("FAIL", name, flush=True)
                print("     " + traceback.format_exc().replace("\n", "\n     "), flush=True)
    return failed


def tests_of(module):
    return [f for name, f in vars(module).items() if name.startswith("test_")]
