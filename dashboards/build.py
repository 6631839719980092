#!/usr/bin/env python3
"""Writes the dashboards this program ships: `build.py` makes the files below json/, `build.py --check` says
whether they are what it would make."""

import json
import pathlib
import sys

import host
import kubernetes
import own
import slo

HERE = pathlib.Path(__file__).parent / "json"


def files():
    for module in (own, host, kubernetes, slo):
        for made in module.dashboards():
            name = made["uid"].removeprefix("bartizan-")
            yield HERE / module.FOLDER / f"{name}.json", json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main():
    made = dict(files())
    if "--check" in sys.argv:
        there = {path: path.read_text() for path in HERE.rglob("*.json")}
        if there != made:
            sys.exit("dashboards/json is not what dashboards/build.py makes: run it")
        return
    for path in HERE.rglob("*.json"):
        if path not in made:
            path.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(made)} dashboards")


if __name__ == "__main__":
    main()
