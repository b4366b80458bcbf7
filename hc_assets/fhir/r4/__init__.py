"""The compiled R4 4.0.1 definitions, and what is built from them at run time."""
