"""The CSA header of Siemens' MR files: a binary element with a table of the scanner's own.

Belongs here: reading its entries, by nibabel. What they say of mosaics and of diffusion is used in
`mosaics.py` and `diffusion.py`.
"""

import warnings
from typing import Any

from hc_assets.imaging.headers.elements import Elements, MalformedValueError
from hc_assets.imaging.headers.private_elements import private_tag
from hc_assets.imaging.headers.reading import PARSE_ERRORS, raise_if_ours

OWNER = "SIEMENS CSA HEADER"
_GROUP = 0x0029
_IMAGE_HEADER = 0x10


class NoCsaHeaderError(Exception):
    """There is none, or it can't be read."""


def csa_numbers(elements: Elements) -> dict[str, list[float]]:
    """Read the CSA image header.

    Args:
        elements: of the dataset.

    Returns:
        The numbers of each entry by its name; an entry that holds text has none.

    Raises:
        NoCsaHeaderError: there is no such header, or it can't be read.
    """
    tag = private_tag(elements, _GROUP, OWNER, _IMAGE_HEADER)
    if tag is None:
        raise NoCsaHeaderError("it has no CSA header")
    with warnings.catch_warnings():
        # nibabel calls its DICOM readers experimental, at every import
        warnings.simplefilter("ignore")
        from nibabel.nicom import csareader  # noqa: PLC0415
    try:
        data = elements.first(tag)
        if not isinstance(data, bytes):
            raise NoCsaHeaderError("its CSA header can't be read")
        entries: dict[str, Any] = csareader.read(data)["tags"]
    except (AssertionError, MalformedValueError, csareader.CSAReadError, *PARSE_ERRORS) as error:
        raise_if_ours(error)
        raise NoCsaHeaderError("its CSA header can't be read") from error
    return {
        name: [float(item) for item in entry["items"] if isinstance(item, int | float)]
        for name, entry in entries.items()
    }
