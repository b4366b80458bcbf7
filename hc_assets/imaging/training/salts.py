"""The secret that pseudonyms are made with, where the settings name none.

Belongs here: making it once and keeping it. With it one can find out whether a pseudonym is that of
a PatientID that one knows; without it one can't.
"""

import secrets

from upath import UPath

from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout


def kept_salt(layout: Layout) -> str:
    """Return the salt of a data folder; made at random when it is first asked for."""
    path: UPath = layout.data_dir / "secrets" / "training_salt"
    if not path.exists():
        write_bytes(path, secrets.token_hex(32).encode())
    return path.read_text().strip()
