"""The quantization modes of conf/quantize."""

from typing import Any

import yaml

from helpers.folders import ROOT

MODES = sorted(p.stem for p in (ROOT / "conf/quantize").glob("*.yaml"))


def settings(mode: str) -> dict[str, Any]:
    """The content of a mode's file."""
    return dict(yaml.safe_load((ROOT / f"conf/quantize/{mode}.yaml").read_text()))
