"""Each page in Chromium from a server, at 360 px; in a file of its own for a worker of its own."""

import page_checks
import pytest
from building import EXTRA, PAGES


@pytest.mark.parametrize("name", [*PAGES, *EXTRA])
def test_page_served(served, open_page, name):
    page = open_page(f"{served}/{name}.html", width=360)
    faults = page_checks.width_faults(page)
    # Pictures further down are else fetched when one gets there.
    page.evaluate(page_checks.FETCH_IMAGES)
    faults += page.watch.faults
    assert not faults, "\n".join(faults)
