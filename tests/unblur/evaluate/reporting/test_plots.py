from __future__ import annotations

from pathlib import Path

import pytest

from unblur.evaluate.reporting import plots

pytest.importorskip("matplotlib", reason="needs the extra `evaluate`")


def test_a_contact_sheet_without_faces_is_drawn(tmp_path: Path) -> None:
    plots.draw_contact_sheet({"raw": [], "true": []}, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
