"""FHIR's section of the settings.

Belongs here: every number or folder of FHIR's stages that a user may want to change.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from hc_assets.core.settings import CoreSettings


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from error


class FhirSettings(CoreSettings):
    """What the FHIR assets and commands take from the environment (prefix `HC_`)."""

    fhir_source: str = Field(
        default="urn:hc-assets:ingest", description="meta.source of resources that name none."
    )
    fhir_text_bytes: int = Field(
        default=512 * 1024**2,
        ge=1,
        le=2**31 - 1,
        description="Bytes that a JSON document, or a line of NDJSON, may have when unpacked.",
    )
    fhir_extension_base: str = Field(
        default="https://hc-assets.org/fhir/StructureDefinition",
        description="Base URL of the extensions that enrichment adds.",
    )
    fhir_expected_elements: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Elements that completeness is judged by, as a JSON object of lists by type:"
        " each type named here replaces that of the built-in table. `value[x]` is any of a choice,"
        " `a|b` one of two.",
    )
    quarantine_rate_threshold: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of a batch's entries that one rule may send to quarantine.",
    )
    quality_score_threshold: float = Field(
        default=0.8, ge=0, le=1, description="Mean quality score that a batch must reach."
    )
    fhir_rules_as_errors: frozenset[str] = Field(
        default=frozenset(),
        description="Business rules whose breach quarantines a resource, as a JSON list; that of"
        " the others is a warning.",
    )
    fhir_rules_as_warnings: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Rules, R4's among them, whose breach is only a warning: the resource is let"
        " through, and counted. A JSON list, or names with commas between them; `SOURCE:rule` for"
        " the resources of one source.",
    )
    fhir_profiles: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Files and folders of StructureDefinitions that resources are held against"
        " where they name them, separated as in PATH.",
    )
    fhir_profile_for: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Profiles that each resource of a type is held against, whether or not it names"
        " them: `Patient=URL`, several with commas between them; of HC_FHIR_PROFILES or R4's own.",
    )
    shipped_views: bool = Field(
        default=True,
        description="Whether the views that come with the package have tables.",
    )
    views: Path | None = Field(
        default=None,
        description="Folder of SQL on FHIR ViewDefinitions, each a table fhir/views/<file's name>,"
        " beside those that come with the package; <data>/views where it is not set. Like"
        " HC_SHIPPED_VIEWS it is read when a process starts.",
    )
    search_index: bool = Field(
        default=True,
        description="Whether current resources are indexed for searches; read when a process"
        " starts.",
    )
    search_parameters: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Files and folders of SearchParameters that resources are indexed and searched"
        " by beside R4's, separated as in PATH; read when a process first needs them.",
    )
    export_split_bytes: int = Field(
        default=1024**3, ge=1, description="NDJSON bytes from which a file of an export is full."
    )
    export_compression: Literal["none", "gzip", "zstd"] = Field(
        default="none", description="How the files of an export are packed: none, gzip or zstd."
    )
    export_base_url: str = Field(
        default="", description="URL of the export folder, put before the names in its manifest."
    )
    validation_rate_threshold: float = Field(
        default=0.95, ge=0, le=1, description="Share of a batch's entries that must be valid."
    )

    @field_validator("fhir_rules_as_warnings", mode="before")
    @classmethod
    def _split_rules(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError as error:
                raise ValueError("expected a JSON list, or names with commas") from error
        return frozenset(filter(None, (part.strip() for part in value.split(","))))

    @field_validator("fhir_profile_for", mode="before")
    @classmethod
    def _split_demands(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        demands = tuple(filter(None, re.split(r"[,\s]+(?=[A-Z][A-Za-z]*=)", value.strip(", \n"))))
        for demand in demands:
            if not re.fullmatch(r"[A-Z][A-Za-z]*=(?:https?://|urn:)\S+", demand):
                raise ValueError(f"found {demand!r}, expected a resource type, = and a URL")
        return demands

    @model_validator(mode="after")
    def _refuse_unknown_rules(self) -> Self:
        if self.fhir_rules_as_warnings:
            # The definitions of R4 would slow down each command.
            from hc_assets.fhir.validation import profile_rules, rule_names  # noqa: PLC0415
            from hc_assets.fhir.validation.let_through import rules_in  # noqa: PLC0415

            paths = tuple(str(path) for path in self.fhir_profiles)
            also_known = profile_rules.constraints(paths)
            with _naming("HC_FHIR_RULES_AS_WARNINGS"):
                rule_names.refuse_unknown(rules_in(self.fhir_rules_as_warnings), also_known)
        if self.fhir_rules_as_errors:
            from hc_assets.fhir.validation.business_rules import BusinessRules  # noqa: PLC0415

            with _naming("HC_FHIR_RULES_AS_ERRORS"):
                BusinessRules(self.fhir_rules_as_errors)
        return self

    @field_validator("fhir_profiles", "search_parameters", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value
