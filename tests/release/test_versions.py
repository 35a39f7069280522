"""Which release a query selects."""

from functools import partial

import pytest

from autocomplete.common.errors import UserError
from autocomplete.release.versions import AvailableReleases, ReleaseQuery, choose


def test_a_prerelease_is_newest_only_among_prereleases() -> None:
    available = partial(AvailableReleases, "here", stages={}, modes=["float32"])
    assert choose(ReleaseQuery("float32"), available(["1.9.0", "1.10.0", "2.0.0-rc.1"])) == "1.10.0"
    assert choose(ReleaseQuery("float32"), available(["2.0.0-rc.1", "2.0.0-rc.2"])) == "2.0.0-rc.2"
    assert choose(ReleaseQuery("float32", "2.0.0-rc.1"), available(["1.0.0", "2.0.0-rc.1"])) == "2.0.0-rc.1"
    with pytest.raises(UserError, match=r"has no version 3\.0\.0"):
        choose(ReleaseQuery("float32", stage="prod"), available(["1.0.0"], stages={"prod": "3.0.0"}))
