"""Runs the official Python SDKs against the gateway. Exit code 1: a test failed."""

import sys

import anthropic_suite
import openai_suite
import suite

failed = suite.run("openai", suite.tests_of(openai_suite)) + suite.run("anthropic", suite.tests_of(anthropic_suite))
print(f"failed: {failed}")
sys.exit(failed > 0)
