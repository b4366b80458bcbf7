"""The commonest paths of views as generated Python over generated structs; see `source.py`."""
