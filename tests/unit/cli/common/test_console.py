"""What reaches standard output can be shown by a terminal."""

import json

from app.cli.common import console

HOSTILE = {"text": "\x1b[2J\x7f\x9b31m\u202e\u2028\ud800\U000e0041é"}


def test_json_is_the_same_value_and_acts_on_no_terminal(capsys):
    console.print_json(HOSTILE)
    printed = capsys.readouterr().out
    assert printed == '{"text": "\\u001b[2J\\u007f\\u009b31m\\u202e\\u2028\\ud800\\udb40\\udc41é"}\n'
    assert json.loads(printed) == HOSTILE


def test_indented_json_keeps_its_lines(capsys):
    console.print_json({"a": [1]}, indent=1)
    assert capsys.readouterr().out == '{\n "a": [\n  1\n ]\n}\n'
