"""How the table of R4's definitions is built from HL7's package."""
