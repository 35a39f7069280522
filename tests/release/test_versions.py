"""Which release is meant."""

from functools import partial

import pytest

from autocomplete.common.errors import UserError
from autocomplete.release.versions import Offer, Wanted, choose


def test_a_version_before_its_time_is_newest_only_among_its_like() -> None:
    offer = partial(Offer, "here", stages={}, modes=["float32"])
    assert choose(Wanted("float32"), offer(["1.9.0", "1.10.0", "2.0.0-rc.1"])) == "1.10.0"
    assert choose(Wanted("float32"), offer(["2.0.0-rc.1", "2.0.0-rc.2"])) == "2.0.0-rc.2"
    assert choose(Wanted("float32", "2.0.0-rc.1"), offer(["1.0.0", "2.0.0-rc.1"])) == "2.0.0-rc.1"
    with pytest.raises(UserError, match=r"has no version 3\.0\.0"):
        choose(Wanted("float32", stage="prod"), Offer("here", ["1.0.0"], {"prod": "3.0.0"}, ["float32"]))
